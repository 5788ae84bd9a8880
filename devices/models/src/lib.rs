//! The device models.
