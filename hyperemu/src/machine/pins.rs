//! Wires what hangs on GPIO pins.

use devices_core::device::{floating, lent, pad, taken};
use devices_core::pins::PROPERTIES;
use devices_core::{DeviceId, Target, Wires, pin};
use machine_configs::{Description, DeviceIndex, DeviceNode};
use std::collections::BTreeMap;

/// A part of a node's device that a property connects.
struct End {
    device: DeviceId,
    /// Its pin; those of a chip on a bus start at the chip's first line.
    base: u32,
    pin: u32,
    /// It drives the GPIO.
    output: bool,
}

/// Pins of a GPIO controller that lends them.
const PORT: u32 = 32;

/// Connects the pins of `node`, whose lines are those of `device` from `base` on; `part` is its position among its
/// siblings.
pub fn connect(
    description: &Description,
    ids: &BTreeMap<DeviceIndex, DeviceId>,
    wires: &mut Wires,
    node: &DeviceNode,
    (device, base): (DeviceId, u32),
    part: u32,
) {
    let parent = node.parent.map(|parent| &description.devices[parent]);
    let is_part_of = |name: &str| parent.is_some_and(|parent| parent.compatible.iter().any(|c| c == name));
    let (key, led) = (is_part_of("gpio-keys"), is_part_of("gpio-leds"));
    for reference in node.references("hyperemu,pins") {
        let Some(&gpio) = reference.target.and_then(|target| ids.get(&target)) else { continue };
        for line in 0..PORT {
            let own = reference.index as u32 * PORT + line;
            wires.connect(gpio, pad(line), Target::Device(device), base + pin(own));
            wires.connect(device, base + pin(own), Target::Device(gpio), lent(line));
            wires.connect(device, base + taken(own), Target::Device(gpio), taken(line));
        }
    }
    for reference in &node.references {
        let (Some(&gpio), Some(&line)) =
            (reference.target.and_then(|target| ids.get(&target)), reference.cells.first())
        else {
            continue;
        };
        let end = match reference.property.as_str() {
            // The pins of keys and LEDs are those of the device that they are parts of.
            "gpios" if key || led => End { device, base: 0, pin: part, output: key },
            "enable-gpios" if key => End { device, base: 0, pin: part, output: false },
            name => {
                let Some(property) = PROPERTIES.iter().find(|property| property.name == name) else {
                    continue;
                };
                End { device, base, pin: property.first + reference.index as u32, output: property.output }
            }
        };
        let own = end.base + pin(end.pin);
        if end.output {
            wires.connect(end.device, own, Target::Device(gpio), pin(line));
        } else {
            wires.connect(gpio, pin(line), Target::Device(end.device), own);
            let undriven = end.base + floating(end.pin);
            wires.connect(gpio, floating(line), Target::Device(end.device), undriven);
        }
    }
}
