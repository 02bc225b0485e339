//! Amounts by class, each class given once: a second figure for the same class must not silently win.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use crate::finding::shown;
use crate::id::ResourceClass;

/// Reads an object whose fields must all be different.
pub(super) fn by_class<'de, D, T>(deserializer: D) -> Result<BTreeMap<ResourceClass, T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct ByClass<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for ByClass<T> {
        type Value = BTreeMap<ResourceClass, T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object with resource classes as its fields")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut amounts = BTreeMap::new();
            while let Some((class, amount)) = map.next_entry::<ResourceClass, T>()? {
                if amounts.contains_key(&class) {
                    return Err(A::Error::custom(format!("the class {} is given twice", shown(class.as_str()))));
                }
                amounts.insert(class, amount);
            }
            Ok(amounts)
        }
    }
    deserializer.deserialize_map(ByClass(PhantomData))
}

/// The same, where it may be null.
pub(super) fn by_class_or_null<'de, D, T>(deserializer: D) -> Result<Option<BTreeMap<ResourceClass, T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    struct OrNull<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for OrNull<T> {
        type Value = Option<BTreeMap<ResourceClass, T>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object with resource classes as its fields, or null")
        }

        fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            by_class(deserializer).map(Some)
        }
    }
    deserializer.deserialize_option(OrNull(PhantomData))
}
