//! Icons, from the Phosphor set (see `assets/README.md`). The order is that of `../../art/icons.txt`.

/// An icon's code in the outline set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Icon(pub(crate) u16);

macro_rules! icons {
    ($($name:ident)*) => { icons!(@ 0xe000; $($name)*); };
    (@ $code:expr; $name:ident $($rest:ident)*) => {
        #[allow(missing_docs, reason = "the name says it")]
        pub const $name: Icon = Icon($code);
        icons!(@ $code + 1; $($rest)*);
    };
    (@ $code:expr;) => {};
}

icons! {
    HOUSE CPU PLUGS WIFI GAMEPAD KEYBOARD PLANET POWER SPEAKER_HIGH SPEAKER_LOW SPEAKER_MUTE CLOCK THERMOMETER DROP GAUGE
    CARET_LEFT CARET_RIGHT GEAR MEMORY HEART SUN BATTERY BELL MOUSE TELEVISION WATCH PHONE BLUETOOTH FOOTPRINTS RESTART
    BROADCAST PULSE DRIVES CIRCUIT ARROW_LEFT MOON SLIDERS DICE CHECK TERMINAL CURSOR WIFI_OFF
}
