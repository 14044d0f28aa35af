//! Filled by the first part that lands here.
