//! The surfaces of other vendors, whose client libraries work here unchanged.

#[cfg(feature = "braintrust")]
pub mod braintrust;
#[cfg(feature = "confident")]
pub mod confident;
#[cfg(feature = "trulayer")]
pub mod trulayer;
