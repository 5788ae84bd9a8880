//! The medium of several radios in one process.

use crate::frame::{Key, Transmission};
use crate::medium::{Arrival, Medium};
use crate::power::path_loss;
use std::collections::{BTreeMap, VecDeque};

/// Free space with fading: a frame is lost between two nodes with a fixed probability, decided by a hash of the seed,
/// both nodes and the frame's number, so that a run does not depend on who asks first.
#[derive(Debug)]
pub struct Air {
    seed: u64,
    loss: u32,
    nodes: BTreeMap<u32, Node>,
}

#[derive(Debug)]
struct Node {
    position: [i32; 3],
    waiting: VecDeque<Arrival>,
}

impl Air {
    /// Nobody there yet; of a million frames, `loss` are lost on each way.
    pub fn new(seed: u64, loss: u32) -> Air {
        Air { seed, loss, nodes: BTreeMap::new() }
    }

    /// Puts a node at a place, in millimetres, or moves it there.
    pub fn place(&mut self, node: u32, position: [i32; 3]) {
        self.nodes.entry(node).or_insert_with(|| Node { position, waiting: VecDeque::new() }).position =
            position;
    }

    fn is_lost(&self, key: Key, to: u32) -> bool {
        // The finaliser of splitmix64, over one value after the other.
        let mix = |state: u64, value: u64| {
            let z = (state ^ value).wrapping_add(0x9e37_79b9_7f4a_7c15);
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let hash = [u64::from(key.node), u64::from(to), key.seq].into_iter().fold(self.seed, mix);
        hash % 1_000_000 < u64::from(self.loss)
    }
}

impl Medium for Air {
    fn publish(&mut self, frame: Transmission) {
        let lost: Vec<bool> = self.nodes.keys().map(|node| self.is_lost(frame.key, *node)).collect();
        for ((id, node), lost) in self.nodes.iter_mut().zip(lost) {
            if *id == frame.key.node {
                continue;
            }
            let power = i32::from(frame.power) - path_loss(frame.position, node.position);
            let order = |frame: &Transmission| (frame.start, frame.key);
            let at = node.waiting.partition_point(|other| order(&other.frame) <= order(&frame));
            node.waiting.insert(at, Arrival { frame: frame.clone(), power, lost });
        }
    }

    fn receive(&mut self, node: u32) -> Option<Arrival> {
        self.nodes.get_mut(&node)?.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Phy, tests::frame};
    use cpu_core::Time;

    #[test]
    fn everyone_else_hears_in_order() {
        let mut air = Air::new(1, 0);
        for node in 0..3 {
            air.place(node, [node as i32 * 1000, 0, 0]);
        }
        let mut late = frame(Phy::Ble1M, &[1]);
        late.key = Key { node: 1, seq: 0 };
        late.position = [1000, 0, 0];
        let mut early = frame(Phy::Ble1M, &[2]);
        early.start = Time::from_us(1);
        air.publish(late.clone());
        air.publish(early.clone());
        let mut all = |node| -> Vec<(u32, i32)> {
            std::iter::from_fn(|| air.receive(node)).map(|a| (a.frame.key.node, a.power)).collect()
        };
        assert_eq!([all(0), all(1), all(2)], [vec![(1, -40)], vec![(0, -40)], vec![(0, -46), (1, -40)]]);
        assert_eq!(air.receive(7), None);
    }

    #[test]
    fn loss_is_a_function_of_seed_and_frame() {
        let lost = |seed| {
            let mut air = Air::new(seed, 200_000);
            air.place(0, [0; 3]);
            air.place(1, [0; 3]);
            (0..1000)
                .map(|seq| {
                    let mut frame = frame(Phy::Ble1M, &[]);
                    frame.key.seq = seq;
                    air.publish(frame);
                    air.receive(1).is_some_and(|arrival| arrival.lost)
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(lost(5), lost(5));
        assert_ne!(lost(5), lost(6));
        assert!((150..250).contains(&lost(5).iter().filter(|lost| **lost).count()));
    }
}
