//! Heart rate from the light that the skin gives back (photoplethysmography).
//!
//! The slow part is removed and the rest smoothed; the period is where the autocorrelation of the last seconds peaks first,
//! refined by its later peaks. A single beat is a crest of the same curve, for the picture.

/// Samples a second: each frame of the picture shows one more.
pub const RATE: u32 = 30;
/// Samples that are looked at: eight seconds.
const WINDOW: usize = 240;
/// As few as give an answer.
const ENOUGH: usize = 120;
/// Periods that are looked for: 30 to 225 beats a minute.
const LAGS: core::ops::RangeInclusive<usize> = 8..=60;
/// The longest lag that refines a period.
const FARTHEST: usize = 108;
/// A correlation below this is no pulse.
const CERTAIN: f32 = 0.45;
/// Points of the curve on the screen.
pub const POINTS: usize = 81;
/// Points ahead of the newest one that are dark.
const GAP: usize = 6;

pub struct Pulse {
    window: [f32; WINDOW],
    /// Samples taken since the restart.
    count: usize,
    mean: f32,
    smooth: [f32; 2],
    /// The crests' height, which falls slowly.
    crest: f32,
    since_beat: u32,
    rising: bool,
    bpm: Option<u32>,
    range: Option<(u32, u32)>,
    curve: [u8; POINTS],
}

impl Pulse {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            window: [0.0; WINDOW],
            count: 0,
            mean: 0.0,
            smooth: [0.0; 2],
            crest: 1.0,
            since_beat: u32::MAX,
            rising: false,
            bpm: None,
            range: None,
            curve: [u8::MAX; POINTS],
        }
    }

    /// Forgets the signal; the lowest and highest rate remain.
    pub fn restart(&mut self) {
        *self = Self { range: self.range, ..Self::new() };
    }

    /// Beats a minute, where a pulse is felt.
    #[must_use]
    pub fn bpm(&self) -> Option<u32> {
        self.bpm
    }

    /// The lowest and the highest rate so far.
    #[must_use]
    pub fn range(&self) -> Option<(u32, u32)> {
        self.range
    }

    /// The curve from left to right: 0 to 254, 255 where there is none.
    #[must_use]
    pub fn curve(&self) -> &[u8; POINTS] {
        &self.curve
    }

    /// Where in the curve the newest point is.
    #[must_use]
    pub fn head(&self) -> Option<usize> {
        self.count.checked_sub(1).map(|n| n % POINTS)
    }

    /// Samples since the last beat.
    #[must_use]
    pub fn since_beat(&self) -> u32 {
        self.since_beat
    }

    /// Takes a sample.
    pub fn sample(&mut self, light: u32) {
        let light = light as f32;
        if self.count == 0 {
            self.mean = light;
        }
        self.mean += (light - self.mean) * (1.0 / 24.0);
        // More blood gives back less light.
        let now = self.mean - light;
        let value = 0.25 * self.smooth[0] + 0.5 * self.smooth[1] + 0.25 * now;
        self.smooth = [self.smooth[1], now];
        let last = self.window[(self.count + WINDOW - 1) % WINDOW];
        self.window[self.count % WINDOW] = value;

        self.crest = (self.crest * 0.985).max(value.abs()).max(1.0);
        self.since_beat = self.since_beat.saturating_add(1);
        let falls = value < last;
        if self.rising && falls && last > 0.5 * self.crest && self.since_beat > RATE / 4 {
            self.since_beat = 0;
        }
        self.rising = !falls;

        let head = self.count % POINTS;
        // Before the filters have settled, the curve is flat.
        let level = if self.count < RATE as usize { 0.0 } else { value / self.crest };
        self.curve[head] = (127.0 + 112.0 * level.clamp(-1.0, 1.0)) as u8;
        for ahead in 1..=GAP {
            self.curve[(head + ahead) % POINTS] = u8::MAX;
        }
        self.count += 1;
        if self.count.is_multiple_of(RATE as usize) {
            self.estimate();
        }
    }

    fn estimate(&mut self) {
        // The filters' start is no pulse.
        let count = self.count.saturating_sub(RATE as usize).min(WINDOW);
        if count < ENOUGH {
            return;
        }
        let at = |i: usize| self.window[(self.count - count + i) % WINDOW];
        let energy: f32 = (0..count).map(|i| at(i) * at(i)).sum::<f32>() / count as f32;
        // Below a count or so is noise.
        if energy < 1.0 {
            self.bpm = None;
            return;
        }
        let mut correlation = [0.0; FARTHEST + 2];
        for (lag, c) in
            correlation.iter_mut().enumerate().skip(*LAGS.start() - 1).take_while(|c| c.0 + 40 < count)
        {
            let pairs = count - lag;
            *c = (0..pairs).map(|i| at(i) * at(i + lag)).sum::<f32>() / (pairs as f32 * energy);
        }
        let peak = |lag: usize| {
            let [a, b, c] = [correlation[lag - 1], correlation[lag], correlation[lag + 1]];
            (b >= a && b > c && b > 0.0).then_some((b, a, c))
        };
        // The whole lag and, by a parabola through its neighbours, the part.
        let exact = |lag: usize| {
            let (b, a, c) = peak(lag)?;
            Some(lag as f32 + 0.5 * (a - c) / (a - 2.0 * b + c).min(-1e-6))
        };
        let best = LAGS.filter_map(&peak).map(|p| p.0).fold(0.0, f32::max);
        let first = LAGS.clone().find(|&lag| peak(lag).is_some_and(|p| p.0 > 0.8 * best));
        let Some(mut period) = first.filter(|_| best > CERTAIN).and_then(exact) else {
            self.bpm = None;
            return;
        };
        // Later peaks measure several beats at once.
        for beats in 2..=6 {
            let near = (period * beats as f32 + 0.5) as usize;
            let found = (near - 1..=near + 1)
                .filter(|&lag| lag <= FARTHEST)
                .find_map(|lag| peak(lag).filter(|p| p.0 > 0.5 * best).and_then(|_| exact(lag)));
            match found {
                Some(lag) => period = lag / beats as f32,
                None => break,
            }
        }
        let bpm = (60.0 * RATE as f32 / period + 0.5) as u32;
        self.bpm = Some(bpm);
        let (low, high) = self.range.unwrap_or((bpm, bpm));
        self.range = Some((low.min(bpm), high.max(bpm)));
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self::new()
    }
}
