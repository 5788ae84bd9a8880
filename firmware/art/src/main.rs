//! Turns TrueType fonts and SVG icons into the compact outline sets that the `ui` crate draws.
//!
//! ```text
//! art font Inter_500Medium.ttf inter-medium.out
//! art icons FOLDER names.txt icons.out
//! ```
//! The format is described in `../ui/src/outline.rs`, which reads it. Outlines keep every screen size sharp: the
//! guest rasterises them at the size it needs, so one set of a few kilobytes serves the watch and the tv.

use std::{env, error::Error, fs};

use kurbo::{Affine, BezPath, CubicBez, PathEl, Point};
use ttf_parser::{Face, OutlineBuilder};

/// Units per em of every set we write.
const EM: f64 = 1024.0;
/// Characters beyond printable ASCII that a font set holds.
const EXTRA: &str = "°·×µ²–—…‘’•←→✓";

struct Glyph {
    code: u16,
    advance: u16,
    stream: Vec<u8>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["font", ttf, out] => write_set(out, font(&fs::read(ttf)?)?),
        ["icons", folder, names, out] => write_set(out, icons(folder, &fs::read_to_string(names)?)?),
        _ => Err("usage: art font FILE.ttf OUT | art icons FOLDER NAMES OUT".into()),
    }
}

/// Ascent, descent and capital height in em units, then the glyphs.
type Set = ([i16; 3], Vec<Glyph>);

fn font(data: &[u8]) -> Result<Set, Box<dyn Error>> {
    let face = Face::parse(data, 0)?;
    let scale = EM / f64::from(face.units_per_em());
    let mut glyphs = Vec::new();
    for c in (' '..='~').chain(EXTRA.chars()) {
        let Some(id) = face.glyph_index(c) else { continue };
        let mut pen = Pen(BezPath::new());
        face.outline_glyph(id, &mut pen);
        // Fonts have y up, screens y down.
        let path = Affine::scale_non_uniform(scale, -scale) * pen.0;
        let advance = (f64::from(face.glyph_hor_advance(id).unwrap_or(0)) * scale).round() as u16;
        glyphs.push(Glyph { code: u16::try_from(u32::from(c))?, advance, stream: encode(&path) });
    }
    let em = |v: i16| (f64::from(v) * scale).round() as i16;
    Ok(([em(face.ascender()), -em(face.descender()), em(face.capital_height().unwrap_or(0))], glyphs))
}

/// Icons take the codes 0xe000 on, in the order of the list; the box is 256 units wide, drawn with its top at 0.
fn icons(folder: &str, names: &str) -> Result<Set, Box<dyn Error>> {
    let mut glyphs = Vec::new();
    for (i, name) in names.lines().enumerate() {
        let svg = fs::read_to_string(format!("{folder}/{name}.svg")).map_err(|e| format!("{name}: {e}"))?;
        let mut path = BezPath::new();
        for d in svg.split(" d=\"").skip(1) {
            path.extend(BezPath::from_svg(d.split('"').next().unwrap_or(""))?);
        }
        let path = Affine::scale(EM / 256.0) * path;
        glyphs.push(Glyph { code: 0xe000 + i as u16, advance: EM as u16, stream: encode(&path) });
    }
    Ok(([EM as i16, 0, EM as i16], glyphs))
}

fn write_set(out: &str, ([ascent, descent, cap], mut glyphs): Set) -> Result<(), Box<dyn Error>> {
    glyphs.sort_by_key(|g| g.code);
    let mut file = b"OUT1".to_vec();
    for v in [ascent, descent, cap, glyphs.len() as i16] {
        file.extend(v.to_le_bytes());
    }
    let mut offset = 0u16;
    for g in &glyphs {
        file.extend([g.code, g.advance, offset].into_iter().flat_map(u16::to_le_bytes));
        offset = offset.checked_add(u16::try_from(g.stream.len())?).ok_or("set larger than 64 KiB")?;
    }
    glyphs.iter().for_each(|g| file.extend(&g.stream));
    println!("{out}: {} glyphs, {} bytes", glyphs.len(), file.len());
    Ok(fs::write(out, file)?)
}

struct Pen(BezPath);

impl OutlineBuilder for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.0.move_to((f64::from(x), f64::from(y)));
    }
    fn line_to(&mut self, x: f32, y: f32) {
        self.0.line_to((f64::from(x), f64::from(y)));
    }
    fn quad_to(&mut self, x1: f32, y1: f32, x: f32, y: f32) {
        self.0.quad_to((f64::from(x1), f64::from(y1)), (f64::from(x), f64::from(y)));
    }
    fn curve_to(&mut self, x1: f32, y1: f32, x2: f32, y2: f32, x: f32, y: f32) {
        let p = |x, y| Point::new(f64::from(x), f64::from(y));
        self.0.curve_to(p(x1, y1), p(x2, y2), p(x, y));
    }
    fn close(&mut self) {
        self.0.close_path();
    }
}

/// Operations 1 move, 2 line, 3 quadratic; 0 ends the glyph. The operation shares a varint with the first delta.
fn encode(path: &BezPath) -> Vec<u8> {
    let mut stream = Stream { bytes: Vec::new(), at: (0, 0) };
    let mut last = Point::ZERO;
    for element in path.elements() {
        match *element {
            PathEl::MoveTo(p) => stream.op(1, &[p]),
            PathEl::LineTo(p) => stream.op(2, &[p]),
            PathEl::QuadTo(c, p) => stream.op(3, &[c, p]),
            PathEl::CurveTo(a, b, p) => {
                for (_, _, q) in CubicBez::new(last, a, b, p).to_quads(1.0) {
                    stream.op(3, &[q.p1, q.p2]);
                }
            }
            PathEl::ClosePath => {}
        }
        last = element.end_point().unwrap_or(last);
    }
    stream.bytes.push(0);
    stream.bytes
}

struct Stream {
    bytes: Vec<u8>,
    at: (i32, i32),
}

impl Stream {
    fn op(&mut self, op: u32, points: &[Point]) {
        for (i, p) in points.iter().enumerate() {
            let (x, y) = (p.x.round() as i32, p.y.round() as i32);
            let (dx, dy) = (zigzag(x - self.at.0), zigzag(y - self.at.1));
            self.varint(if i == 0 { dx << 2 | op } else { dx });
            self.varint(dy);
            self.at = (x, y);
        }
    }

    fn varint(&mut self, mut v: u32) {
        while v >= 0x80 {
            self.bytes.push(v as u8 | 0x80);
            v >>= 7;
        }
        self.bytes.push(v as u8);
    }
}

fn zigzag(v: i32) -> u32 {
    (v << 1 ^ v >> 31) as u32
}
