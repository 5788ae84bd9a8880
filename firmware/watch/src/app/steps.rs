//! Steps and the raising of the wrist, from acceleration.

/// Samples a second.
pub const RATE: u32 = 25;
/// Swings of the acceleration's magnitude below this, in 1/1000 g, are no step.
const THRESHOLD: f32 = 70.0;
/// Samples between two steps: at least, and at most for them to belong together.
const SOONEST: u32 = RATE / 5;
const LATEST: u32 = 2 * RATE;
/// So many in a row are a walk; fewer are a hand that moves.
const WALK: u32 = 4;
/// Samples of rest in another attitude before a raise counts.
const REST: u32 = RATE / 2;

/// What a sample brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    pub steps: u32,
    /// The wrist was turned so that the watch can be read.
    pub raised: bool,
}

/// Follows the accelerometer.
pub struct Motion {
    /// The magnitude's mean, and its swing around that mean, smoothed.
    mean: f32,
    swing: f32,
    /// Above the threshold, waiting for it to fall below the opposite one.
    high: bool,
    since_step: u32,
    in_row: u32,
    /// Samples since the glass last faced away from the eye.
    lowered: u32,
    facing: bool,
}

impl Motion {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            mean: 1000.0,
            swing: 0.0,
            high: false,
            since_step: LATEST,
            in_row: 0,
            lowered: 0,
            facing: true,
        }
    }

    /// A sample in 1/1000 g.
    pub fn sample(&mut self, [x, y, z]: [i16; 3]) -> Moved {
        let [fx, fy, fz] = [x, y, z].map(f32::from);
        let square = fx * fx + fy * fy + fz * fz;
        // Two of Newton's steps from the mean: the magnitude of a worn watch is never far from 1 g.
        let mut root = self.mean.max(200.0);
        for _ in 0..4 {
            root = 0.5 * (root + square / root);
        }
        self.mean += (root - self.mean) * (1.0 / 32.0);
        self.swing += (root - self.mean - self.swing) * 0.5;
        Moved { steps: self.step(), raised: self.raise(fz, square) }
    }

    fn step(&mut self) -> u32 {
        self.since_step = self.since_step.saturating_add(1);
        if self.high {
            self.high = self.swing > -THRESHOLD * 0.3;
            return 0;
        }
        if self.swing < THRESHOLD || self.since_step < SOONEST {
            return 0;
        }
        self.high = true;
        self.in_row = if self.since_step <= LATEST { self.in_row + 1 } else { 1 };
        self.since_step = 0;
        match self.in_row {
            ..WALK => 0,
            WALK => WALK,
            _ => 1,
        }
    }

    /// The glass faces the eye when gravity is along its axis: 0.8 of it, and it faced away (below 0.5) for a while before.
    fn raise(&mut self, z: f32, square: f32) -> bool {
        let part = z * z;
        if part < 0.25 * square {
            self.lowered += 1;
            self.facing = false;
        } else if part > 0.64 * square && !self.facing {
            self.facing = true;
            return core::mem::take(&mut self.lowered) >= REST;
        }
        false
    }
}

impl Default for Motion {
    fn default() -> Self {
        Self::new()
    }
}
