//! Reading a screenshot: pixels, and the text of a Linux console drawn in the kernel's 8 x 16 font.

use std::collections::HashMap;
use std::path::Path;

const WIDTH: usize = 8;
const HEIGHT: usize = 16;
/// Pixels of 128 in which a cell may differ from a glyph: the kernel's font and Debian's differ in the shape of a few letters.
const TOLERANCE: u32 = 6;

/// A decoded screenshot.
pub struct Screen {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// 8-bit red, green, blue of each pixel, row by row.
    pub pixels: Vec<[u8; 3]>,
}

impl Screen {
    /// Reads a PNG file.
    ///
    /// # Panics
    ///
    /// When it is missing or is not a PNG.
    pub fn read(path: &Path) -> Self {
        let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut decoder = png::Decoder::new(std::io::BufReader::new(file));
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let mut reader = decoder.read_info().expect("the screenshot is a PNG");
        let mut bytes = vec![0; reader.output_buffer_size().expect("the picture fits memory")];
        let info = reader.next_frame(&mut bytes).expect("the screenshot is whole");
        let channels = info.color_type.samples();
        let pixels = bytes[..info.buffer_size()].chunks_exact(channels).map(|pixel| match *pixel {
            [r, g, b, ..] => [r, g, b],
            [grey, ..] => [grey; 3],
            [] => [0; 3],
        });
        Self { width: info.width as usize, height: info.height as usize, pixels: pixels.collect() }
    }

    /// Writes a PNG file.
    ///
    /// # Panics
    ///
    /// When it can not be written.
    pub fn write(&self, path: &Path) {
        let file = std::fs::File::create(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut encoder = png::Encoder::new(file, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().expect("the picture has a size");
        writer.write_image_data(self.pixels.as_flattened()).expect("the picture can be written");
    }

    /// How many different colours there are.
    pub fn colours(&self) -> usize {
        self.pixels.iter().collect::<std::collections::HashSet<_>>().len()
    }

    /// The text of a console, line by line; what is no letter of ASCII reads as `?`.
    pub fn console_text(&self) -> String {
        let glyphs = Glyphs::load(&super::guest("fonts/vga16.psf"));
        let mut text = String::new();
        for row in 0..self.height / HEIGHT {
            let line: String =
                (0..self.width / WIDTH).map(|column| glyphs.nearest(self.cell(column, row))).collect();
            text += line.trim_end();
            text.push('\n');
        }
        text
    }

    /// A character cell as bits, the top left pixel highest; a bright pixel is set.
    fn cell(&self, column: usize, row: usize) -> u128 {
        let bright = |x: usize, y: usize| {
            let pixel = self.pixels[(row * HEIGHT + y) * self.width + column * WIDTH + x];
            pixel.iter().map(|&level| u32::from(level)).sum::<u32>() > 3 * 64
        };
        (0..HEIGHT * WIDTH).fold(0, |bits, at| bits << 1 | u128::from(bright(at % WIDTH, at / WIDTH)))
    }
}

/// The printable ASCII glyphs of a PSF version 1 font with a Unicode table.
struct Glyphs(HashMap<char, u128>);

impl Glyphs {
    fn load(path: &Path) -> Self {
        let font = std::fs::read(path).expect("the font is readable");
        assert_eq!(font[..2], [0x36, 0x04], "PSF version 1");
        assert_eq!(font[3] as usize, HEIGHT);
        let count = if font[2] & 1 != 0 { 512 } else { 256 };
        let (bitmaps, table) = font[4..].split_at(count * HEIGHT);
        let codes: Vec<u16> =
            table.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let mut glyphs = HashMap::new();
        // 0xffff ends a glyph's list; sequences, after 0xfffe, stand for no single character.
        for (bitmap, list) in bitmaps.chunks_exact(HEIGHT).zip(codes.split(|&code| code == 0xffff)) {
            let singles = list.iter().take_while(|&&code| code != 0xfffe);
            for code in singles.copied().filter(|code| (0x20..0x7f).contains(code)) {
                let bits = bitmap.iter().fold(0, |bits, &line| bits << 8 | u128::from(line));
                glyphs.insert(char::from(code as u8), bits);
            }
        }
        assert_eq!(glyphs.len(), 95, "the font has all of ASCII");
        Self(glyphs)
    }

    fn nearest(&self, cell: u128) -> char {
        let distances = self.0.iter().map(|(&letter, &bits)| ((bits ^ cell).count_ones(), letter));
        match distances.min() {
            Some((distance, letter)) if distance <= TOLERANCE => letter,
            _ => '?',
        }
    }
}
