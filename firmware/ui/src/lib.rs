//! One design for every screen of ours: palette, type, widgets and incremental redraw, from a 240 x 240 watch to a 1080p tv.
//!
//! A program describes what its screen shows as a [`View`], a flat list of widgets in logical units. [`Ui::update`] compares
//! it with what is on the screen and returns the rectangles that changed; [`Ui::paint`] draws one rectangle into any
//! [`Canvas`], which may be a whole framebuffer (tv, phone) or a band of a few lines on its way to an SPI display (watch).
//! Drawing is integer arithmetic throughout, so that a picture is the same on every core.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod backdrop;
mod canvas;
mod damage;
mod date;
pub mod icon;
mod outline;
mod raster;
pub mod text;
pub mod theme;
pub mod trig;
mod view;
pub mod widgets;

pub use backdrop::Backdrop;
pub use canvas::{Canvas, Pixel, Rgb565, WireRgb565, Xrgb8888};
pub use date::Date;
pub use embedded_graphics::geometry::{Point, Size};
pub use embedded_graphics::primitives::Rectangle;
pub use text::Cache;
pub use theme::{Color, Form};
pub use view::{Align, CURVE_POINTS, Fill, Shadow, Ui, View};

/// A rectangle from its corner and its size, in whichever unit the caller works.
#[must_use]
pub const fn rect(x: i32, y: i32, width: i32, height: i32) -> Rectangle {
    const fn positive(v: i32) -> u32 {
        if v < 0 { 0 } else { v as u32 }
    }
    Rectangle::new(Point::new(x, y), Size::new(positive(width), positive(height)))
}
