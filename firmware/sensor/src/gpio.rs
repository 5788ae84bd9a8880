//! Pins (FE310-G002 manual, chapter 17).

use crate::board::{BUTTON, GPIO, I2C0_PINS, LED_GREEN, LED_RED, UART0_PINS};

const INPUT_VALUE: usize = 0x00;
const INPUT_ENABLE: usize = 0x04;
const OUTPUT_ENABLE: usize = 0x08;
const OUTPUT_VALUE: usize = 0x0c;
const PULL_UP: usize = 0x10;
const FALL_ENABLE: usize = 0x20;
const FALL_PENDING: usize = 0x24;
const FUNCTION_ENABLE: usize = 0x38;
const FUNCTION_SELECT: usize = 0x3c;

const LEDS: u32 = 1 << LED_GREEN | 1 << LED_RED;

/// Hands pins to UART0 and I2C0, drives the LEDs and listens to the button.
pub fn init() {
    let devices = UART0_PINS | I2C0_PINS;
    GPIO.modify32(FUNCTION_SELECT, devices, 0);
    GPIO.modify32(FUNCTION_ENABLE, devices | LEDS, devices);
    GPIO.modify32(OUTPUT_VALUE, LEDS, LEDS);
    GPIO.modify32(OUTPUT_ENABLE, LEDS, LEDS);
    let button = 1 << BUTTON;
    GPIO.modify32(PULL_UP, button, button);
    GPIO.modify32(INPUT_ENABLE, button, button);
    GPIO.write32(FALL_PENDING, button);
    GPIO.modify32(FALL_ENABLE, button, button);
}

/// LEDs light when their pin is low.
pub fn led(pin: u32, lit: bool) {
    GPIO.modify32(OUTPUT_VALUE, 1 << pin, if lit { 0 } else { 1 << pin });
}

pub fn button_pressed() -> bool {
    GPIO.read32(INPUT_VALUE) & 1 << BUTTON == 0
}

/// Takes the button's interrupt back.
pub fn acknowledge_button() {
    GPIO.write32(FALL_PENDING, 1 << BUTTON);
}
