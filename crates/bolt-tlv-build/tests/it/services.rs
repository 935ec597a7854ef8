//! What a service of `config.toml` becomes, and that a pool made from it is the pool it describes.

use bolt_tlv::{BufferPool, Catalog, ClassSpec, Exhausted, ServiceConfig, ServiceSpec, Strategy};

use crate::everything::{self, services};
use crate::source;

#[test]
fn a_service_has_the_classes_of_its_messages() {
    let spec = source::services::POLYGON_ADAPTER;
    assert_eq!((spec.name, spec.messages), ("polygon-adapter", &["SwapEvent", "PoolStateUpdate"][..]));
    assert!(spec.buffer_pool_enabled && spec.exhausted == Exhausted::Allocate);
    assert_eq!(spec.strategy, Strategy::default());
    assert_eq!(spec.classes, [ClassSpec::new(128, 1024), ClassSpec::new(192, 682)]);
    let pool = BufferPool::from_service(&spec);
    let buffer = pool.acquire(source::SwapEvent::MAX_SIZE).expect("its class is there");
    assert_eq!(buffer.capacity(), source::SwapEvent::BUFFER_CLASS);
}

#[test]
fn a_service_says_what_it_wants_otherwise() {
    let books = services::BOOKS;
    assert_eq!(books.exhausted, Exhausted::Error);
    let smallest = books.classes.first().expect("there is one");
    assert_eq!((smallest.size_bytes, smallest.capacity), (128, 64));
    let all = services::ALL_OF_IT;
    assert!(!all.buffer_pool_enabled);
    assert_eq!(all.exhausted, Exhausted::Wait(std::time::Duration::from_millis(20)));
    assert_eq!(all.strategy, Strategy::Mutex);
    for class in all.classes {
        assert!(class.size_bytes * class.capacity <= 200_000 && class.bytes_max <= 200_000, "{class:?}");
    }
    for spec in [books, all] {
        let pool = BufferPool::from_service(&spec);
        for name in spec.messages {
            let message = everything::CATALOG.message(name).expect("it is in the schema");
            assert!(pool.acquire(message.size_max).is_ok(), "{name}");
        }
    }
}

/// The same file, read by the build and by the running program, describes the same pools.
#[test]
fn the_run_time_reads_the_file_as_the_build_does() {
    let same = |text: &str, catalog: &Catalog, spec: &ServiceSpec| {
        let config =
            ServiceConfig::from_toml(text, spec.name, catalog).unwrap_or_else(|error| panic!("{error}"));
        let messages: Vec<&str> = config.messages().iter().map(|message| message.name).collect();
        assert_eq!((config.name(), messages.as_slice()), (spec.name, spec.messages));
        assert_eq!(config.classes(), spec.classes);
        assert_eq!(config.buffer_pool_enabled(), spec.buffer_pool_enabled);
        assert_eq!((config.exhausted(), config.strategy()), (spec.exhausted, spec.strategy));
    };
    same(include_str!("../schemas/source.toml"), &source::CATALOG, &source::services::POLYGON_ADAPTER);
    let text = include_str!("../schemas/everything.toml");
    same(text, &everything::CATALOG, &services::BOOKS);
    same(text, &everything::CATALOG, &services::ALL_OF_IT);
}

/// What the build refuses inside a service, the run time refuses too.
#[test]
fn the_run_time_refuses_what_the_build_refuses() {
    for (name, service) in [
        ("service_unknown_message", "polygon-adapter"),
        ("service_keys", "a"),
        ("service_keys", "b"),
        ("service_keys", "c"),
        ("service_keys", "d"),
        ("service_not_toml", "a"),
        ("service_scalar", "a"),
    ] {
        let path = format!("{}/tests/refused/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("the case is there");
        let catalog = &everything::CATALOG;
        assert!(ServiceConfig::from_toml(&text, service, catalog).is_err(), "{name} {service}");
    }
}
