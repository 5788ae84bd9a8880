//! What the command line lends to devices: disks, a directory, a network.

use crate::host::disk::{self, DriveSpec};
use devices_core::host::BlockBackend;
use devices_core::{Node, Resources};
use std::collections::VecDeque;
use std::path::PathBuf;

/// Hands out each disk once, in the order in which nodes ask.
#[derive(Default)]
pub struct HostResources {
    disks: VecDeque<Box<dyn BlockBackend>>,
    share: Option<PathBuf>,
    network: bool,
}

impl HostResources {
    /// Opens the drives. Errors name the file.
    pub fn new(drives: &[DriveSpec], share: Option<PathBuf>, network: bool) -> Result<HostResources, String> {
        if let Some(dir) = share.as_ref().filter(|dir| !dir.is_dir()) {
            return Err(format!("--share {}: not a directory", dir.display()));
        }
        let disks = drives.iter().map(disk::open).collect::<Result<_, _>>()?;
        Ok(HostResources { disks, share, network })
    }

    /// What no node asked for.
    pub fn unused(&self) -> Vec<String> {
        let mut unused = Vec::new();
        if !self.disks.is_empty() {
            unused.push(format!("{} of the drives: the board has no more disk slots", self.disks.len()));
        }
        if self.share.is_some() {
            unused.push("the share: the board has no 9p slot".to_string());
        }
        unused
    }
}

impl Resources for HostResources {
    fn disk(&mut self, node: &dyn Node) -> Option<Box<dyn BlockBackend>> {
        // Flash chips keep their content only where the board says so; drives are for disks.
        if node.compatible().contains(&"cfi-flash") {
            return None;
        }
        self.disks.pop_front()
    }

    fn share(&mut self, _node: &dyn Node) -> Option<PathBuf> {
        self.share.take()
    }

    fn network(&mut self, _node: &dyn Node) -> bool {
        self.network
    }
}
