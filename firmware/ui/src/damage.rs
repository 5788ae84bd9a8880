//! Which parts of the screen must be drawn again.

use alloc::vec::Vec;

use crate::{Rectangle, canvas::edges, rect};

/// More rectangles than this are joined into one.
const MOST: usize = 24;

fn area(r: Rectangle) -> u64 {
    u64::from(r.size.width) * u64::from(r.size.height)
}

pub(crate) fn union(a: Rectangle, b: Rectangle) -> Rectangle {
    let (a, b) = (edges(a), edges(b));
    let (x, y) = (a.0.min(b.0), a.1.min(b.1));
    rect(x, y, a.2.max(b.2) - x, a.3.max(b.3) - y)
}

/// Adds a rectangle, joining it with those it would share most of its area with.
pub(crate) fn add(list: &mut Vec<Rectangle>, new: Rectangle) {
    if area(new) == 0 {
        return;
    }
    let mut new = new;
    while let Some(i) = list.iter().position(|&r| area(union(r, new)) <= area(r) + area(new)) {
        new = union(list.swap_remove(i), new);
    }
    list.push(new);
    if list.len() > MOST {
        let all = list.drain(..).reduce(union);
        list.extend(all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_join_and_strangers_stay_apart() {
        let mut list = Vec::new();
        add(&mut list, rect(0, 0, 10, 10));
        add(&mut list, rect(500, 0, 10, 10));
        add(&mut list, rect(10, 0, 10, 10));
        add(&mut list, rect(0, 0, 0, 5));
        assert_eq!(list, [rect(500, 0, 10, 10), rect(0, 0, 20, 10)]);
    }

    #[test]
    fn many_become_one() {
        let mut list = Vec::new();
        (0..=MOST as i32).for_each(|i| add(&mut list, rect(i * 100, 0, 10, 10)));
        assert_eq!(list, [rect(0, 0, MOST as i32 * 100 + 10, 10)]);
    }
}
