//! The drawing around a screen.

use devices_core::Frame;

/// How a board looks around its screen.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Skin {
    /// Pixels of the screen's own size on each side.
    margin: u32,
    /// Below the screen.
    foot: u32,
    /// Radius of the outer corners.
    radius: u32,
    /// A watch: round glass, straps above and below, a button on the right.
    watch: bool,
}

/// Linux code of the key that a watch's button is.
const KEY_HOME: u16 = 102;

const OUTSIDE: u32 = 0x0026_282c;
const EDGE: u32 = 0x0034_373d;
const BEZEL: u32 = 0x000a_0b0d;
const LIGHT: u32 = 0x00d8_2c2c;
const STRAP: u32 = 0x001d_1f22;
const METAL: u32 = 0x0060_656e;
/// The waves beside a watch whose motor turns.
const WAVE: u32 = 0x00e8_c060;
/// Width and height of a watch's button.
const BUTTON: (u32, u32) = (12, 56);

impl Skin {
    /// The skin that a board names; a plain frame for names without one.
    pub fn named(name: Option<&str>) -> Skin {
        match name {
            Some("tv") => Skin { margin: 28, foot: 20, radius: 22, watch: false },
            Some("watch") => Skin { margin: 52, foot: 0, radius: 0, watch: true },
            _ => Skin { margin: 8, foot: 0, radius: 8, watch: false },
        }
    }

    /// Where the screen is: x and y of its top left corner.
    pub fn origin(&self) -> (u32, u32) {
        (self.margin, self.margin)
    }

    /// Size of the whole, for a screen of this size.
    pub fn size(&self, screen: (u32, u32)) -> (u32, u32) {
        (screen.0 + 2 * self.margin, screen.1 + 2 * self.margin + self.foot)
    }

    /// Draws skin and screen into `into`.
    pub fn compose(&self, screen: &Frame, into: &mut Frame) {
        let (width, height) = self.size((screen.width, screen.height));
        if (into.width, into.height) != (width, height) {
            into.resize(width, height);
            self.draw(into);
        }
        let (left, top) = self.origin();
        let row = screen.width as usize;
        if row == 0 {
            return;
        }
        for (y, line) in screen.pixels.chunks_exact(row).enumerate() {
            let hidden = if self.watch { hidden(y, row, screen.height as usize) } else { 0 };
            let at = (top as usize + y) * width as usize + left as usize;
            if let Some(target) = into.pixels.get_mut(at + hidden..at + row - hidden) {
                target.copy_from_slice(&line[hidden..row - hidden]);
            }
        }
    }

    /// Shows on a composed picture whether the motor turns.
    pub fn show_motor(&self, on: bool, whole: &mut Frame) {
        if !self.watch {
            return;
        }
        let (width, height) = (whole.width as i32, whole.height as i32);
        let radius = width / 2 - self.margin as i32;
        for y in height / 2 - 40..height / 2 + 40 {
            for side in [-1, 1] {
                for ring in [32, 42] {
                    let (r, dy) = (radius + ring, y - height / 2);
                    let dx = (r * r - dy * dy).max(0).isqrt();
                    // The right side is the button's; its waves are above and below it.
                    if side == 1 && dy.abs() < BUTTON.1 as i32 / 2 + 4 {
                        continue;
                    }
                    let at = y * width + width / 2 + side * dx;
                    if let Some(pixel) = whole.pixels.get_mut(at as usize) {
                        *pixel = if on { WAVE } else { OUTSIDE };
                    }
                }
            }
        }
    }

    /// The key whose button is at this place of the composed picture.
    pub fn key_at(&self, (x, y): (f64, f64), (width, height): (u32, u32)) -> Option<u16> {
        let (left, top) = self.button(width, height);
        let inside =
            |at: f64, from: u32, size: u32| at >= f64::from(from) - 4.0 && at < f64::from(from + size) + 4.0;
        (self.watch && inside(x, left, BUTTON.0) && inside(y, top, BUTTON.1)).then_some(KEY_HOME)
    }

    /// Where the button is: its left and top.
    fn button(&self, width: u32, height: u32) -> (u32, u32) {
        (width.saturating_sub(self.margin) + 22, height.saturating_sub(BUTTON.1) / 2)
    }

    fn draw(&self, into: &mut Frame) {
        if self.watch {
            return self.draw_watch(into);
        }
        let (width, height) = (into.width, into.height);
        for y in 0..height {
            for x in 0..width {
                let inset = self.inset(x, y, width, height);
                let colour = match inset {
                    None => OUTSIDE,
                    Some(0..=2) => EDGE,
                    Some(_) => BEZEL,
                };
                into.pixels[(y * width + x) as usize] = colour;
            }
        }
        // The standby light.
        let (cx, cy) = (width / 2, height.saturating_sub((self.margin + self.foot) / 2));
        for y in cy.saturating_sub(2)..(cy + 2).min(height) {
            for x in cx.saturating_sub(8)..(cx + 8).min(width) {
                if self.foot > 0 {
                    into.pixels[(y * width + x) as usize] = LIGHT;
                }
            }
        }
    }

    fn draw_watch(&self, into: &mut Frame) {
        let (width, height) = (into.width, into.height);
        let glass = f64::from(width) / 2.0 - f64::from(self.margin);
        let (left, top) = self.button(width, height);
        for (index, pixel) in (0u32..).zip(&mut into.pixels) {
            let (x, y) = (index % width, index / width);
            let (dx, dy) =
                (f64::from(x) + 0.5 - f64::from(width) / 2.0, f64::from(y) + 0.5 - f64::from(height) / 2.0);
            let distance = dx.hypot(dy);
            let in_button = (left..left + BUTTON.0).contains(&x) && (top..top + BUTTON.1).contains(&y);
            *pixel = if distance < glass + 16.0 {
                BEZEL
            } else if distance < glass + 22.0 || in_button {
                METAL
            } else if dx.abs() < glass * 0.62 {
                STRAP
            } else {
                OUTSIDE
            };
        }
    }

    /// Distance from the rounded outline, inwards; `None` outside of it.
    fn inset(&self, x: u32, y: u32, width: u32, height: u32) -> Option<u32> {
        let near_x = x.min(width - 1 - x);
        let near_y = y.min(height - 1 - y);
        if near_x >= self.radius || near_y >= self.radius {
            return Some(near_x.min(near_y));
        }
        let (dx, dy) = (self.radius - near_x, self.radius - near_y);
        let distance = f64::from(dx * dx + dy * dy).sqrt() as u32;
        self.radius.checked_sub(distance)
    }
}

/// How many pixels at each end of row `y` are outside of the ellipse that fills a screen.
fn hidden(y: usize, width: usize, height: usize) -> usize {
    let dy = ((y as f64 + 0.5) / height as f64).mul_add(2.0, -1.0);
    let half = (1.0 - dy * dy).max(0.0).sqrt() * width as f64 / 2.0;
    ((width as f64 / 2.0 - half).round() as usize).min(width / 2)
}

/// Scales `from` to fill `width` by `height` pixels, keeping its shape, with bars where it does not fit: averages when
/// shrinking, repeats pixels when growing. Returns the rectangle of the picture: left, top, width, height.
pub fn fit(from: &Frame, width: usize, height: usize, into: &mut Vec<u32>) -> (usize, usize, usize, usize) {
    into.clear();
    into.resize(width * height, OUTSIDE);
    let (fw, fh) = (from.width as usize, from.height as usize);
    if fw == 0 || fh == 0 || width == 0 || height == 0 {
        return (0, 0, width, height);
    }
    let (w, h) = if width * fh <= height * fw {
        (width, (width * fh / fw).max(1))
    } else {
        ((height * fw / fh).max(1), height)
    };
    let (left, top) = ((width - w) / 2, (height - h) / 2);
    let columns: Vec<(usize, usize)> = (0..w).map(|x| span(x, w, fw)).collect();
    for y in 0..h {
        let rows = span(y, h, fh);
        let line = &mut into[(top + y) * width + left..][..w];
        for (pixel, &(start, end)) in line.iter_mut().zip(&columns) {
            *pixel = average(from, start, end, rows);
        }
    }
    (left, top, w, h)
}

/// The source pixels behind target pixel `at` of `count`: at least one.
fn span(at: usize, count: usize, source: usize) -> (usize, usize) {
    let start = at * source / count;
    (start, ((at + 1) * source / count).max(start + 1))
}

fn average(from: &Frame, left: usize, right: usize, (top, bottom): (usize, usize)) -> u32 {
    let width = from.width as usize;
    if right == left + 1 && bottom == top + 1 {
        return from.pixels[top * width + left];
    }
    let (mut r, mut g, mut b) = (0, 0, 0);
    for y in top..bottom {
        for pixel in &from.pixels[y * width + left..y * width + right] {
            r += pixel >> 16 & 0xff;
            g += pixel >> 8 & 0xff;
            b += pixel & 0xff;
        }
    }
    let count = ((right - left) * (bottom - top)) as u32;
    ((r / count) << 16) | ((g / count) << 8) | (b / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_is_inside_its_skin() {
        let screen = Frame { width: 4, height: 2, pixels: vec![0xff_ffff; 8] };
        let skin = Skin::named(Some("tv"));
        let mut whole = Frame::default();
        skin.compose(&screen, &mut whole);
        assert_eq!((whole.width, whole.height), skin.size((4, 2)));
        let (x, y) = skin.origin();
        assert_eq!(whole.pixels[(y * whole.width + x) as usize], 0xff_ffff);
        assert_eq!(whole.pixels[(y * whole.width + x - 1) as usize], BEZEL);
        assert_eq!(whole.pixels.iter().filter(|pixel| **pixel == 0xff_ffff).count(), 8);
        assert_eq!(whole.pixels[0], OUTSIDE);
    }

    #[test]
    fn a_watch_is_round_and_has_a_button() {
        let screen = Frame { width: 240, height: 240, pixels: vec![0xff_ffff; 240 * 240] };
        let skin = Skin::named(Some("watch"));
        let mut whole = Frame::default();
        skin.compose(&screen, &mut whole);
        let at = |whole: &Frame, x: u32, y: u32| whole.pixels[(y * whole.width + x) as usize];
        let (left, top) = skin.origin();
        assert_eq!([at(&whole, left, top), at(&whole, left + 239, top + 239)], [OUTSIDE; 2]);
        assert_eq!([at(&whole, left + 120, top), at(&whole, left, top + 120)], [0xff_ffff; 2]);
        let shown = whole.pixels.iter().filter(|pixel| **pixel == 0xff_ffff).count();
        assert!((45_000..45_500).contains(&shown), "{shown} of a circle's 45239");
        let size = (whole.width, whole.height);
        let (x, y) = skin.button(size.0, size.1);
        assert_eq!(
            (at(&whole, x + 5, y + 5), skin.key_at((f64::from(x), f64::from(y)), size)),
            (METAL, Some(KEY_HOME))
        );
        assert_eq!(skin.key_at((120.0, 120.0), size), None);
        let still = whole.clone();
        skin.show_motor(true, &mut whole);
        assert!(whole.pixels.contains(&WAVE));
        skin.show_motor(false, &mut whole);
        assert!(whole == still);
    }

    #[test]
    fn scaling_keeps_the_shape_and_averages() {
        let from = Frame { width: 2, height: 2, pixels: vec![0, 0xff_ffff, 0xff_ffff, 0] };
        let mut into = Vec::new();
        assert_eq!(fit(&from, 3, 1, &mut into), (1, 0, 1, 1));
        assert_eq!(into, [OUTSIDE, 0x7f_7f7f, OUTSIDE]);
        assert_eq!(fit(&from, 4, 4, &mut into), (0, 0, 4, 4));
        assert_eq!(into[..4], [0, 0, 0xff_ffff, 0xff_ffff]);
    }
}
