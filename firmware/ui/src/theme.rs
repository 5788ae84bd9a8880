//! The design: colours, type scale and measures.

use crate::Size;

/// A colour with alpha, 0xAARRGGBB.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Color(pub u32);

impl Color {
    /// An opaque colour.
    #[must_use]
    pub const fn rgb(r: u8, g: u8, b: u8) -> Self {
        Self::rgb_u32(r as u32, g as u32, b as u32)
    }

    /// An opaque colour of components below 256.
    pub(crate) const fn rgb_u32(r: u32, g: u32, b: u32) -> Self {
        Self(0xff00_0000 | r << 16 | g << 8 | b)
    }

    /// An opaque colour as in CSS, 0xRRGGBB.
    #[must_use]
    pub const fn hex(rgb: u32) -> Self {
        Self(0xff00_0000 | rgb & 0x00ff_ffff)
    }

    /// The same colour with another opacity (255 is opaque).
    #[must_use]
    pub const fn alpha(self, alpha: u8) -> Self {
        Self(self.0 & 0x00ff_ffff | (alpha as u32) << 24)
    }

    pub(crate) const fn is_visible(self) -> bool {
        self.0 >> 24 != 0
    }

    /// Opacity times `level` of 256.
    pub(crate) const fn scaled(self, level: u32) -> Self {
        self.alpha((((self.0 >> 24) * level) >> 8) as u8)
    }

    pub(crate) const fn rgb_parts(self) -> [u32; 3] {
        [self.0 >> 16 & 0xff, self.0 >> 8 & 0xff, self.0 & 0xff]
    }

    pub(crate) const fn rgb_tuple(self) -> (u32, u32, u32) {
        let [r, g, b] = self.rgb_parts();
        (r, g, b)
    }

    /// Opacity from 0 to 256.
    #[inline]
    pub(crate) const fn alpha_256(self) -> u32 {
        let a = self.0 >> 24;
        a + (a >> 7)
    }

    /// From this colour (`t` = 0) to `other` (`t` = 256), alpha included.
    #[must_use]
    pub const fn mix(self, other: Self, t: u32) -> Self {
        const fn lane(a: u32, b: u32, t: u32, shift: u32) -> u32 {
            ((a >> shift & 0xff) * (256 - t) + (b >> shift & 0xff) * t) >> 8 << shift
        }
        let (a, b) = (self.0, other.0);
        Self(lane(a, b, t, 0) | lane(a, b, t, 8) | lane(a, b, t, 16) | lane(a, b, t, 24))
    }
}

/// Main text.
pub const TEXT: Color = Color::hex(0xf5f7ff);
/// Text that explains.
pub const TEXT_SECONDARY: Color = Color::hex(0xf5f7ff).alpha(168);
/// Text that may be missed.
pub const TEXT_FAINT: Color = Color::hex(0xf5f7ff).alpha(112);
/// Surface of a card over the backdrop.
pub const CARD: Color = Color::hex(0xffffff).alpha(18);
/// Lower end of a card's surface.
pub const CARD_LOW: Color = Color::hex(0xffffff).alpha(10);
/// Hairline around a card.
pub const HAIRLINE: Color = Color::hex(0xffffff).alpha(26);
/// Surface of what floats above cards.
pub const OVERLAY: Color = Color::hex(0x161a2c).alpha(236);
/// Empty part of a gauge or bar.
pub const TRACK: Color = Color::hex(0xffffff).alpha(30);
/// What has the focus.
pub const FOCUS: Color = Color::hex(0xffffff);

/// Accents, each from light to deep as tiles and gauges use them.
pub mod accent {
    use super::Color;

    /// A gradient from its upper to its lower end.
    pub type Accent = (Color, Color);

    /// Information, system.
    pub const BLUE: Accent = (Color::hex(0x6aa8ff), Color::hex(0x2a5bd7));
    /// Devices, network.
    pub const TEAL: Accent = (Color::hex(0x4fe0c4), Color::hex(0x0e8f8a));
    /// Motion, play.
    pub const VIOLET: Accent = (Color::hex(0xb18cff), Color::hex(0x6336d6));
    /// Input, warmth.
    pub const AMBER: Accent = (Color::hex(0xffc46b), Color::hex(0xe0762a));
    /// Power, alarm, heart.
    pub const ROSE: Accent = (Color::hex(0xff8aa5), Color::hex(0xd4315f));
    /// Health, battery.
    pub const GREEN: Accent = (Color::hex(0x8ee58a), Color::hex(0x2c9a4f));
    /// Neutral.
    pub const SLATE: Accent = (Color::hex(0x8b97b8), Color::hex(0x4a5578));
}

/// The kind of screen a view is laid out for. Logical units are pixels of its design size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// 1920 x 1080, seen from the couch.
    Tv,
    /// 540 x 1200, held upright.
    Phone,
    /// 240 x 240, round.
    Watch,
}

impl Form {
    /// The form that suits a screen of `size` pixels.
    #[must_use]
    pub const fn of(size: Size) -> Self {
        if size.width <= 480 && size.height <= 480 {
            Self::Watch
        } else if size.width < size.height {
            Self::Phone
        } else {
            Self::Tv
        }
    }

    /// Design size in logical units.
    #[must_use]
    pub const fn design(self) -> Size {
        match self {
            Self::Tv => Size::new(1920, 1080),
            Self::Phone => Size::new(540, 1200),
            Self::Watch => Size::new(240, 240),
        }
    }

    /// Size of a type style in logical units an em.
    #[must_use]
    pub const fn type_size(self, style: Style) -> u32 {
        let [tv, phone, watch] = match style {
            Style::Clock => [236, 128, 72],
            Style::Display => [84, 48, 36],
            Style::Title => [52, 30, 20],
            Style::Subtitle => [50, 28, 18],
            Style::Heading => [36, 22, 17],
            Style::Body => [30, 18, 14],
            Style::Caption => [25, 14, 12],
        };
        match self {
            Self::Tv => tv,
            Self::Phone => phone,
            Self::Watch => watch,
        }
    }
}

/// The type scale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    /// The time of day on a home screen.
    Clock,
    /// A number that a card is about.
    Display,
    /// A page's name.
    Title,
    /// A line below a large one.
    Subtitle,
    /// A card's or tile's name.
    Heading,
    /// Running text.
    Body,
    /// Labels and hints.
    Caption,
}
