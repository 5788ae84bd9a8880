//! A described node as models see it.

use devices_core::Node;
use machine_configs::{Description, DeviceIndex, DeviceNode};

/// A node of the description with its children.
pub struct DtNode<'a> {
    /// What the board says.
    pub described: &'a DeviceNode,
    name: &'a str,
    regs: Vec<(u64, u64)>,
    children: Vec<DtNode<'a>>,
}

impl<'a> DtNode<'a> {
    /// The node of device `index`.
    pub fn new(board: &'a Description, index: DeviceIndex) -> DtNode<'a> {
        let described = &board.devices[index];
        DtNode {
            described,
            name: described.name.split('@').next().unwrap_or_default(),
            regs: described.reg.iter().map(|reg| (reg.base, reg.size)).collect(),
            children: described.children.iter().map(|&child| DtNode::new(board, child)).collect(),
        }
    }
}

impl Node for DtNode<'_> {
    fn name(&self) -> &str {
        self.described.label.as_deref().unwrap_or(self.name)
    }

    fn path(&self) -> &str {
        &self.described.path
    }

    fn regs(&self) -> &[(u64, u64)] {
        &self.regs
    }

    fn compatible(&self) -> Vec<&str> {
        self.described.compatible.iter().map(String::as_str).collect()
    }

    fn cells(&self, property: &str) -> Option<Vec<u32>> {
        self.described.props.get(property)?.cells()
    }

    fn bytes(&self, property: &str) -> Option<Vec<u8>> {
        Some(self.described.props.get(property)?.data.to_vec())
    }

    fn string(&self, property: &str) -> Option<&str> {
        let data = &self.described.props.get(property)?.data;
        let end = data.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(&data[..end]).ok()
    }

    fn has(&self, property: &str) -> bool {
        self.described.props.bool(property)
    }

    fn children(&self) -> Vec<&dyn Node> {
        self.children.iter().map(|child| child as &dyn Node).collect()
    }

    fn interrupts(&self) -> usize {
        self.described.interrupts.len()
    }
}
