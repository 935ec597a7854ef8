//! A service's configuration from the text of a `config.toml`: what is read, and what each mistake says.

use std::time::Duration;

use bolt_tlv::{BufferPool, Catalog, ClassSpec, Exhausted, MessageInfo, ServiceConfig, Strategy};

const fn message(name: &'static str, type_id: u16, size_max: usize, class_bytes: usize) -> MessageInfo {
    MessageInfo { name, type_id, version: 1, size_max, class_bytes }
}

const CATALOG: Catalog = Catalog {
    messages: &[
        message("SwapEvent", 1, 84, 128),
        message("PoolStateUpdate", 2, 180, 256),
        message("LargeMessage", 3, 800, 1024),
    ],
    classes: &[ClassSpec::new(128, 1024), ClassSpec::new(256, 512), ClassSpec::new(1024, 128)],
};

fn parse(body: &str) -> Result<ServiceConfig, String> {
    let text = format!("title = \"x\"\n[service.adapter]\n{body}\n[service.other]\nmessages = []\n");
    ServiceConfig::from_toml(&text, "adapter", &CATALOG).map_err(|error| error.to_string())
}

#[test]
fn the_defaults_are_those_of_the_messages() {
    let config = parse(r#"messages = ["PoolStateUpdate", "SwapEvent"]"#).unwrap();
    assert_eq!(config.name(), "adapter");
    assert_eq!(config.classes(), &CATALOG.classes[..2]);
    assert!(config.buffer_pool_enabled());
    assert_eq!((config.exhausted(), config.strategy()), (Exhausted::Allocate, Strategy::Magazines));
    let pool = BufferPool::from_service_config(&config);
    assert_eq!(pool.classes().largest_bytes(), 256);
    assert_eq!(pool.acquire(180).unwrap().capacity(), 256);
    assert!(pool.acquire(800).is_err(), "a message that the service does not handle has no class");
}

#[test]
fn every_limit_can_be_set() {
    let config = parse(
        "messages = [\"SwapEvent\", \"LargeMessage\"]\nexhausted = \"wait\"\nwait_ms = 5\nstrategy = \"list\"\n\
         class_bytes_max = 10_240\n[service.adapter.capacities]\n128 = 0x10",
    )
    .unwrap();
    assert_eq!(config.exhausted(), Exhausted::Wait(Duration::from_millis(5)));
    assert_eq!(config.strategy(), Strategy::List);
    let [small, large] = config.classes() else { panic!("{config:?}") };
    assert_eq!((small.size_bytes, small.capacity, small.bytes_max), (128, 16, 4096));
    assert_eq!((large.size_bytes, large.capacity, large.bytes_max), (1024, 10, 10_240));
    assert_eq!(
        parse("messages = [\"SwapEvent\"]\nexhausted = \"error\"").unwrap().exhausted(),
        Exhausted::Error
    );
}

#[test]
fn without_the_pool_buffers_are_plain_and_bounded_all_the_same() {
    let config = parse("messages = [\"LargeMessage\"]\nbuffer_pool_enabled = false").unwrap();
    let pool = BufferPool::from_service_config(&config);
    let held: Vec<_> = std::iter::from_fn(|| pool.acquire(800).ok()).collect();
    assert!(held.iter().all(|buffer| buffer.is_plain()));
    assert_eq!(held.len() * 1024, CATALOG.classes[2].bytes_max);
    drop(held);
    assert_eq!((pool.stats().bytes(), pool.stats().hits()), (0, 0));
}

#[test]
fn each_mistake_says_its_line_and_what_was_expected() {
    for (body, expected) in [
        (
            "messages = [\n\"SwapEvent\",\n\"Swap\"]",
            "line 5: service adapter: unknown message \"Swap\"; the schema has SwapEvent, PoolStateUpdate, LargeMessage",
        ),
        (
            "messages = [\"SwapEvent\", \"SwapEvent\"]",
            "line 3: service adapter: message \"SwapEvent\" is named twice",
        ),
        ("messages = []", "line 3: service adapter: `messages` is empty: name what the service handles"),
        (
            "messages = \"SwapEvent\"",
            "line 3: service adapter: `messages` is a list of names, as [\"SwapEvent\"]",
        ),
        ("messages = [3]", "line 3: service adapter: `messages` is a list of names, as [\"SwapEvent\"]"),
        ("", "line 2: service adapter: `messages` is missing: name what the service handles"),
        (
            "messages = [\"SwapEvent\"]\nbuffer_pool = true",
            "line 4: service adapter: unknown key `buffer_pool`; the keys are messages, buffer_pool_enabled, exhausted, wait_ms, strategy, class_bytes_max, capacities",
        ),
        (
            "messages = [\"SwapEvent\"]\nbuffer_pool_enabled = 1",
            "line 4: service adapter: `buffer_pool_enabled` is true or false",
        ),
        (
            "messages = [\"SwapEvent\"]\nexhausted = \"panic\"",
            "line 4: service adapter: `exhausted` is \"allocate\", \"error\" or \"wait\"",
        ),
        (
            "messages = [\"SwapEvent\"]\nwait_ms = 5",
            "line 4: service adapter: `wait_ms` needs `exhausted = \"wait\"`",
        ),
        (
            "messages = [\"SwapEvent\"]\nstrategy = 7",
            "line 4: service adapter: `strategy` is \"list\", \"mutex\", \"magazines\" or \"ring\"",
        ),
        (
            "messages = [\"SwapEvent\"]\nclass_bytes_max = 100",
            "line 4: service adapter: `class_bytes_max` = 100 does not hold one buffer of 128 bytes",
        ),
        (
            "messages = [\"SwapEvent\"]\nclass_bytes_max = -1",
            "line 4: service adapter: `class_bytes_max` is a whole number from 1 to 4294967295",
        ),
        (
            "messages = [\"SwapEvent\"]\ncapacities = { 256 = 5 }",
            "line 4: service adapter: no class of 256 bytes; this service has 128",
        ),
        (
            "messages = [\"SwapEvent\"]\ncapacities = { 128 = 0 }",
            "line 4: service adapter: a capacity is a whole number from 1 to 33554431",
        ),
        (
            "messages = [\"SwapEvent\"]\ncapacities = { 128 = 33554432 }",
            "line 4: service adapter: a capacity is a whole number from 1 to 33554431",
        ),
        (
            "messages = [\"SwapEvent\"]\ncapacities = { 0128 = 5 }",
            "line 4: service adapter: no class of 0128 bytes; this service has 128",
        ),
        (
            "messages = [\"SwapEvent\"]\nexhausted = \"wait\"\nwait_ms = 0",
            "line 5: service adapter: `wait_ms` is a whole number from 1 to 3600000",
        ),
    ] {
        assert_eq!(parse(body).unwrap_err(), expected, "for {body:?}");
    }
}

#[test]
fn a_missing_service_names_those_that_are_there() {
    let say = |text: &str, service: &str| {
        ServiceConfig::from_toml(text, service, &CATALOG).unwrap_err().to_string()
    };
    assert_eq!(say("[service.a]\n[service.b]", "c"), "there is no [service.c]; the file has a, b");
    assert_eq!(say("", "c"), "there is no [service.c], and no other service");
    assert_eq!(say("\nservice = 3", "c"), "line 2: `service` is a table of services: write [service.NAME]");
    assert_eq!(say("[service]\nc = 1", "c"), "line 2: service c: expected a table: write [service.NAME]");
    assert!(say("[service.a\n", "a").starts_with("line 1: "));
}
