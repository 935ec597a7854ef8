//! The pages of `docs/`, mounted so that every code block in them is a test. Owns no code; never published.

#[doc = include_str!("ARCHITECTURE.md")]
pub mod architecture {}

#[doc = include_str!("benchmarks.md")]
pub mod benchmarks {}

#[doc = include_str!("bolt-arena.md")]
pub mod bolt_arena {}

#[doc = include_str!("bolt-buf.md")]
pub mod bolt_buf {}

#[doc = include_str!("bolt-objects.md")]
pub mod bolt_objects {}

#[doc = include_str!("bolt-objects-strings.md")]
pub mod bolt_objects_strings {}

#[doc = include_str!("bolt-server.md")]
pub mod bolt_server {}

#[doc = include_str!("bolt-triple.md")]
pub mod bolt_triple {}

#[doc = include_str!("glossary.md")]
pub mod glossary {}

#[doc = include_str!("testing.md")]
pub mod testing {}

#[doc = include_str!("../README.md")]
pub mod readme {}

#[doc = include_str!("bolt-cli.md")]
pub mod bolt_cli {}

#[doc = include_str!("bolt-wire.md")]
pub mod bolt_wire {}

#[doc = include_str!("wire.md")]
pub mod wire {}

#[doc = include_str!("unsafe.md")]
pub mod unsafe_code {}

#[doc = include_str!("bolt-client.md")]
pub mod bolt_client {}

#[doc = include_str!("bolt-alloc.md")]
pub mod bolt_alloc {}

#[doc = include_str!("bolt-sync.md")]
pub mod bolt_sync {}

#[doc = include_str!("jemalloc.md")]
pub mod jemalloc {}

#[doc = include_str!("memory-study.md")]
pub mod memory_study {}

#[doc = include_str!("bbolt-pages.md")]
pub mod bbolt_pages {}

#[doc = include_str!("bolt-tlv.md")]
pub mod bolt_tlv {}

#[doc = include_str!("bolt-tlv-build.md")]
pub mod bolt_tlv_build {}

#[doc = include_str!("page-stores.md")]
pub mod page_stores {}
