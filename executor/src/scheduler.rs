//! Who chooses where one instance goes. The executor knows no planner: whoever calls brings one.

use std::sync::Arc;

use decant_schema::fleet::{Fleet, Instance, InstanceState, Mobility};
use decant_schema::id::{FlavorName, HostName, InstanceId};
use decant_schema::plan::MoveMode;

/// One instance that is to move, or to be resized, by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRequest {
    /// Which.
    pub instance: InstanceId,
    /// Where to; none: the scheduler chooses.
    pub target: Option<HostName>,
    /// Whether its own host is as good as any other: a resize.
    pub may_stay: bool,
    /// How; none: as its mobility lets it.
    pub mode: Option<MoveMode>,
    /// Its new flavor; none: it keeps its own.
    pub flavor: Option<FlavorName>,
}

impl MoveRequest {
    /// How an instance moves where nobody chose: as its mobility lets it. Memory cannot take another size on the way, so a
    /// resize stops it.
    pub fn mode_of(&self, instance: &Instance) -> MoveMode {
        if let Some(mode) = self.mode {
            return mode;
        }
        match instance.mobility {
            _ if self.flavor.is_some() || instance.state == InstanceState::Stopped => MoveMode::Cold,
            Mobility::Live => MoveMode::Live,
            Mobility::Suspend => MoveMode::Suspend,
            // One that cannot move at all is refused, in whatever mode.
            Mobility::Cold | Mobility::None => MoveMode::Cold,
        }
    }
}

/// What a scheduler chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Where to; the instance's own host where it stays and is resized.
    pub target: HostName,
    /// How.
    pub mode: MoveMode,
}

/// Chooses where an instance of a fleet goes, or says whether it may go where the request wants it: within capacity,
/// groups, and all other rules. What it returns instead are the reasons why the instance stays, in sentences.
pub type Scheduler = Arc<dyn Fn(&Fleet, &MoveRequest) -> Result<Choice, Vec<String>> + Send + Sync>;
