//! Pictures of screens as PNG files.

use devices_core::Frame;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// Writes a picture. Equal pictures give equal files.
pub fn write_png(path: &Path, frame: &Frame) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| format!("can not write {}: {error}", path.display());
    if frame.width == 0 || frame.height == 0 {
        return Err(failed(&"the screen has no size yet"));
    }
    let file = File::create(path).map_err(|error| failed(&error))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), frame.width, frame.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(|error| failed(&error))?;
    let bytes: Vec<u8> =
        frame.pixels.iter().flat_map(|pixel| pixel.to_be_bytes().into_iter().skip(1)).collect();
    writer.write_image_data(&bytes).map_err(|error| failed(&error))
}
