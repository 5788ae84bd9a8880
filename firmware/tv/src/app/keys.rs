//! Keys by their evdev codes.

/// A key of a keyboard or remote control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key(pub u16);

macro_rules! keys {
    ($($name:ident $code:literal $text:literal,)*) => {
        impl Key {
            $(#[allow(dead_code, reason = "some are only named")]
            pub const $name: Self = Self($code);)*

            /// The keys that we know by name.
            pub const NAMED: &[(u16, &str)] = &[$(($code, $text),)*];
        }
    };
}

keys! {
    ESC 1 "ESC",
    BACKSPACE 14 "BACKSPACE",
    ENTER 28 "ENTER",
    SPACE 57 "SPACE",
    HOME 102 "HOME",
    UP 103 "UP",
    LEFT 105 "LEFT",
    RIGHT 106 "RIGHT",
    DOWN 108 "DOWN",
    MUTE 113 "MUTE",
    VOLUME_DOWN 114 "VOLUMEDOWN",
    VOLUME_UP 115 "VOLUMEUP",
    POWER 116 "POWER",
    MENU 139 "MENU",
    BACK 158 "BACK",
    PLAY_PAUSE 164 "PLAYPAUSE",
    HOMEPAGE 172 "HOMEPAGE",
    OK 352 "OK",
    SELECT 353 "SELECT",
}

/// Buttons of pointers and fingers.
pub const POINTER: core::ops::RangeInclusive<u16> = 0x110..=0x117;
pub const TOUCH: u16 = 0x14a;

impl Key {
    pub fn is_pointer(self) -> bool {
        POINTER.contains(&self.0) || self.0 == TOUCH
    }

    pub fn name(self) -> alloc::borrow::Cow<'static, str> {
        match Self::NAMED.iter().find(|k| k.0 == self.0) {
            Some(k) => k.1.into(),
            None => alloc::format!("{}", self.0).into(),
        }
    }

    /// The key of a name or number, in any case.
    pub fn parse(text: &str) -> Option<Self> {
        let named = Self::NAMED.iter().find(|k| k.1.eq_ignore_ascii_case(text)).map(|k| k.0);
        named.or_else(|| text.parse().ok()).map(Self)
    }
}
