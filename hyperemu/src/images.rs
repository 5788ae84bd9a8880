//! The images embedded in the program: every board starts with no arguments. Sources are in `firmware/`.

/// The embedded images by the name that a board gives in `hyperemu,image`.
static IMAGES: &[(&str, &[u8])] = &[
    ("tv", include_bytes!("../../firmware/images/tv.elf")),
    ("watch", include_bytes!("../../firmware/images/watch.elf")),
    ("sensor", include_bytes!("../../firmware/images/sensor.elf")),
];

/// The image with this name.
pub fn embedded(name: &str) -> Option<&'static [u8]> {
    IMAGES.iter().find(|image| image.0 == name).map(|image| image.1)
}
