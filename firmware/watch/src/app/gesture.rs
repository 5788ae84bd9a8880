//! From contacts of a finger to taps and swipes.

use ui::Point;

/// Pixels from where the finger came down that make a swipe.
const FAR: i32 = 28;

/// What the touch controller reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Contact {
    pub x: i32,
    pub y: i32,
    /// The finger is on the glass.
    pub down: bool,
    /// A swipe that the controller itself recognised.
    pub swipe: Option<Swipe>,
}

/// Where a finger moved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Swipe {
    Up,
    Down,
    Left,
    Right,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gesture {
    Tap(Point),
    Swipe(Swipe),
}

/// Follows one finger: each stay on the glass makes at most one gesture.
#[derive(Default)]
pub struct Recognizer {
    start: Option<Point>,
    done: bool,
}

impl Recognizer {
    /// Whether a finger comes down with this contact.
    #[must_use]
    pub fn is_beginning(&self, contact: &Contact) -> bool {
        contact.down && self.start.is_none()
    }

    /// The stay on the glass makes no gesture any more.
    pub fn ignore(&mut self) {
        self.done = true;
    }

    /// The gesture that a contact completes.
    pub fn contact(&mut self, contact: Contact) -> Option<Gesture> {
        let at = Point::new(contact.x, contact.y);
        if self.is_beginning(&contact) {
            self.done = false;
        }
        // A swipe so quick that the controller saw only its end still counts.
        let start = match self.start {
            Some(start) => start,
            None if contact.down || contact.swipe.is_some() => at,
            None => return None,
        };
        let moved = at - start;
        let swipe = contact.swipe.or_else(|| {
            let far = moved.x.abs().max(moved.y.abs()) >= FAR;
            far.then_some(match (moved.x.abs() > moved.y.abs(), moved.x > 0, moved.y > 0) {
                (true, true, _) => Swipe::Right,
                (true, false, _) => Swipe::Left,
                (false, _, true) => Swipe::Down,
                (false, _, false) => Swipe::Up,
            })
        });
        self.start = contact.down.then_some(start);
        if self.done {
            // Without a stay on the glass, each report is its own.
            self.done = contact.down;
            return None;
        }
        let gesture = match swipe {
            Some(swipe) => Some(Gesture::Swipe(swipe)),
            None if !contact.down => Some(Gesture::Tap(start)),
            None => None,
        };
        self.done = gesture.is_some() && contact.down;
        gesture
    }
}
