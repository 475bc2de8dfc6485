//! `nest mock`
