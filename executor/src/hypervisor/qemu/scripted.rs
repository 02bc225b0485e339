//! A QEMU that answers as a test tells it to.

use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixListener;

use super::qmp::Qmp;
use crate::layout::{CopyFolder, HostFolder};

/// The commands it was given, in order.
pub(super) type Heard = Arc<Mutex<Vec<String>>>;

/// The folder of a copy whose base is there.
pub(super) fn copy(root: &Path) -> CopyFolder {
    let copy = HostFolder::new(root).copy(&"vm".into()).unwrap();
    std::fs::create_dir_all(copy.path()).unwrap();
    std::fs::write(copy.file(decant_schema::migration::DiskFile::BASE), b"base").unwrap();
    copy
}

/// Connects to one that answers each command by its name.
pub(super) async fn qemu(copy: &CopyFolder, mut answer: impl FnMut(&str) -> Value + Send + 'static) -> (Qmp, Heard) {
    let listener = UnixListener::bind(copy.join("qmp.sock")).unwrap();
    let heard = Heard::default();
    let hears = heard.clone();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.get_mut().write_all(b"{\"QMP\": {}}\n").await.unwrap();
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
            let order: Value = serde_json::from_str(&line).unwrap();
            line.clear();
            let command = order["execute"].as_str().unwrap();
            let said = json!({ "return": answer(command) }).to_string();
            hears.lock().unwrap().push(command.to_owned());
            if stream.get_mut().write_all(format!("{said}\n").as_bytes()).await.is_err() {
                return;
            }
        }
    });
    (Qmp::connect(&copy.path(), "qmp.sock").await.unwrap(), heard)
}
