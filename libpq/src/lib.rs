//! The drop-in libpq: `PQ*`. The only place in this package with `extern "C"`.
