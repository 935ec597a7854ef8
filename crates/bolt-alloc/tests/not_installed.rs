//! In a program without `CountingAlloc`, counting must fail aloud. A binary of its own, since an allocator is chosen once a program.

use std::panic::catch_unwind;

#[test]
fn counting_fails_clearly_where_nothing_counts() {
    assert!(!bolt_alloc::is_installed());
    for failure in
        [catch_unwind(|| bolt_alloc::assert_no_alloc(|| ())), catch_unwind(|| bolt_alloc::measure(|| ()).0)]
    {
        let failure = failure.unwrap_err();
        let message = failure
            .downcast_ref::<&str>()
            .map(|s| s.to_string())
            .or_else(|| failure.downcast_ref::<String>().cloned());
        let message = message.expect("a message");
        assert!(
            message.contains("allocations are not being counted") && message.contains("#[global_allocator]"),
            "{message}"
        );
    }
    assert_eq!(bolt_alloc::global_counts(), bolt_alloc::Counts::default());
}
