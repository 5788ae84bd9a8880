//! What a device model is made of: bus interface, interrupt lines, events, registers, state.
