//! State as bytes.

use cpu_core::RestoreError;
use serde::{Serialize, de::DeserializeOwned};

/// Encodes a model's state. Equal states give equal bytes, on every host.
pub fn encode<T: Serialize>(state: &T) -> Vec<u8> {
    // Fails only for types that a model's state never holds (unsized sequences); then nothing is saved, and
    // restoring says so.
    postcard::to_stdvec(state).unwrap_or_default()
}

/// Decodes what [`encode`] made. Errors where the bytes are not such a state or some are left over.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RestoreError> {
    let (state, rest) = postcard::take_from_bytes(bytes).map_err(|error| RestoreError(error.to_string()))?;
    if rest.is_empty() { Ok(state) } else { Err(RestoreError(format!("{} bytes too many", rest.len()))) }
}
