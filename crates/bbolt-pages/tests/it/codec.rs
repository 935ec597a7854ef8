//! The page codec: what is written is read back, and no bytes make a view panic.

use bbolt_pages::Rule;
use bbolt_pages::page::{
    BucketHeader, FreelistPage, Meta, MetaFault, NO_FREELIST, Page, PageHeader, PageKind, fnv1a_64,
};

const META: Meta =
    Meta { page_size: 4096, flags: 0, root: 3, sequence: 7, freelist: NO_FREELIST, high_water: 4, txid: 1 };

#[test]
fn fnv_has_its_published_values() {
    assert_eq!(fnv1a_64(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(fnv1a_64(b"a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(fnv1a_64(b"foobar"), 0x8594_4171_f739_67e8);
}

#[test]
fn a_meta_is_read_as_it_was_written_and_every_changed_byte_is_noticed() {
    let mut page = [0xAA; 128];
    META.write(1, &mut page);
    assert_eq!(Meta::read(&page), Ok(META));
    assert_eq!(PageHeader::read(&page).map(|header| header.id), Some(1));
    assert!(page[80..].iter().all(|&byte| byte == 0));
    for at in 16..80 {
        let mut damaged = page;
        damaged[at] ^= 0x10;
        assert!(Meta::read(&damaged).is_err(), "byte {at}");
    }
    let mut swapped = page;
    swapped[16..20].reverse();
    assert_eq!(Meta::read(&swapped), Err(MetaFault::ByteSwapped));
    assert_eq!(Meta::read(&page[..79]), Err(MetaFault::Short));
}

/// A leaf of page 5 with two elements, written by hand.
fn leaf() -> Vec<u8> {
    let mut page = vec![0; 96];
    PageHeader { id: 5, flags: 2, count: 2, overflow: 0 }.write(&mut page);
    let elements: [(u32, u32, u32, u32); 2] = [(0, 32, 1, 3), (1, 20, 2, 16)];
    for (index, (flags, pos, key, value)) in elements.into_iter().enumerate() {
        let at = 16 + 16 * index;
        for (word, number) in [flags, pos, key, value].into_iter().enumerate() {
            page[at + 4 * word..at + 4 * word + 4].copy_from_slice(&number.to_le_bytes());
        }
    }
    page[48..54].copy_from_slice(b"avvvbb");
    page[54..62].copy_from_slice(&9_u64.to_le_bytes());
    page[62..70].copy_from_slice(&3_u64.to_le_bytes());
    page
}

#[test]
fn leaf_elements_are_found() {
    let bytes = leaf();
    let leaf = Page::new(&bytes, 5).unwrap().leaf().unwrap();
    assert_eq!(leaf.element(0).unwrap().value, b"vvv");
    let bucket = leaf.element(1).unwrap();
    assert!(bucket.is_bucket());
    assert_eq!(BucketHeader::read(bucket.value, 5), Ok(BucketHeader { root: 9, sequence: 3 }));
    assert_eq!(leaf.search(b"a"), Ok((0, true)));
    assert_eq!(leaf.search(b"b"), Ok((1, false)));
    assert_eq!(leaf.search(b"bbb"), Ok((2, false)));
    assert_eq!(leaf.element(2).unwrap_err().rule, Rule::ElementCount);
    assert_eq!(Page::new(&bytes, 6).unwrap_err().rule, Rule::PageId);
    assert_eq!(Page::new(&bytes, 5).unwrap().branch().unwrap_err().rule, Rule::PageKind);
}

#[test]
fn any_single_changed_byte_gives_data_or_a_finding() {
    let sound = leaf();
    let step = if cfg!(miri) { 11 } else { 1 };
    for at in (0..sound.len()).step_by(step) {
        for bit in 0..8 {
            let mut bytes = sound.clone();
            bytes[at] ^= 1 << bit;
            let Ok(page) = Page::new(&bytes, 5) else { continue };
            if let Ok(leaf) = page.leaf() {
                for index in 0..leaf.count() + 1 {
                    if let Ok(element) = leaf.element(index) {
                        let _ = BucketHeader::read(element.value, 5);
                        let _ = BucketHeader::inline_leaf(element.value, 5);
                    }
                }
                let _ = leaf.search(b"b");
            }
            if let Ok(branch) = page.branch() {
                let _ = branch.search(b"b");
                let _ = branch.child(1);
            }
            let _ = page.freelist().map(|list| list.ids().count());
        }
    }
}

#[test]
fn a_freelist_is_short_or_long() {
    let mut page = vec![0; 64];
    PageHeader { id: 2, flags: PageKind::Freelist.flags(), count: 2, overflow: 0 }.write(&mut page);
    page[16] = 8;
    page[24] = 9;
    let ids = |page: &[u8]| Page::new(page, 2).unwrap().freelist().map(|list| list.ids().collect::<Vec<_>>());
    assert_eq!(ids(&page), Ok(vec![8, 9]));
    PageHeader { id: 2, flags: PageKind::Freelist.flags(), count: 0xFFFF, overflow: 0 }.write(&mut page);
    page[16] = 1;
    assert_eq!(ids(&page), Ok(vec![9]));
    page[16] = 6;
    assert_eq!(ids(&page).unwrap_err().rule, Rule::FreelistCount);
    assert_eq!(FreelistPage::bytes_for(2), 32);
    assert_eq!(FreelistPage::bytes_for(65_535), 16 + 8 + 8 * 65_535);
}
