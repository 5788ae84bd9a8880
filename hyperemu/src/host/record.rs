//! What came from outside, with the virtual times at which it came: replaying it replays the run.

use cpu_core::Time;
use devices_core::{DeviceId, HostInput};
use serde::{Deserialize, Serialize};
use std::path::Path;

const MAGIC: [u8; 8] = *b"hyperec1";

/// A log of host input.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Recording {
    magic: [u8; 8],
    /// The board that it was made on.
    pub machine: String,
    /// The seed of the run.
    pub seed: u64,
    /// What came when, for which device; by time.
    pub inputs: Vec<(Time, DeviceId, HostInput)>,
}

impl Recording {
    /// An empty log.
    pub fn new(machine: &str, seed: u64) -> Recording {
        Recording { magic: MAGIC, machine: machine.to_string(), seed, inputs: Vec::new() }
    }

    /// Reads a log. Errors where it is none, or one of another version.
    pub fn load(path: &Path) -> Result<Recording, String> {
        let bytes =
            std::fs::read(path).map_err(|error| format!("can not read {}: {error}", path.display()))?;
        let decoded = devices_core::state::decode::<Recording>(&bytes).ok();
        let valid = decoded.filter(|log| log.magic == MAGIC && log.inputs.is_sorted_by_key(|input| input.0));
        valid.ok_or_else(|| format!("{} is not a recording of this version of hyperemu", path.display()))
    }

    /// Writes the log.
    pub fn save(&self, path: &Path) -> Result<(), String> {
        let bytes = devices_core::state::encode(self);
        std::fs::write(path, bytes).map_err(|error| format!("can not write {}: {error}", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_nothing_else() {
        let path = std::env::temp_dir().join(format!("hyperemu-record-{}", std::process::id()));
        let mut log = Recording::new("tv", 7);
        log.inputs.push((Time(5), 1, HostInput::Serial(b"x".to_vec())));
        log.save(&path).unwrap();
        assert_eq!(Recording::load(&path).unwrap(), log);
        std::fs::write(&path, b"hyperec0 and more").unwrap();
        assert!(Recording::load(&path).is_err());
        std::fs::remove_file(&path).unwrap();
        assert!(Recording::load(&path).unwrap_err().contains("can not read"));
    }
}
