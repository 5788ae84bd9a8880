//! Whole-machine tests with real guests.
