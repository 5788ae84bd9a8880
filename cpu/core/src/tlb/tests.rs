use super::*;
use crate::memory::{MemoryKind, RegionSpec};
use crate::window::{Behind, FrameBox};

const RAM: u64 = 0x8000_0000;

fn frame() -> FrameBox {
    let ram = RegionSpec { name: "ram".into(), base: RAM, size: 0x4_0000, kind: MemoryKind::Ram };
    let rom = RegionSpec { name: "rom".into(), base: 0x1000, size: 0x1000, kind: MemoryKind::Rom };
    FrameBox::new(GuestMemory::new(vec![ram, rom]).unwrap(), Behind::Mirror)
}

const USER: ContextKey = ContextKey { space: 7, mode: 0 };
const KERNEL: ContextKey = ContextKey { space: 7, mode: 1 };

#[test]
fn an_entry_serves_its_page_and_context_only() {
    let frame = frame();
    let tlb = &frame.tlb;
    let (user, kernel) = (tlb.context(USER), tlb.context(KERNEL));
    assert_ne!(user, kernel);
    assert_eq!(tlb.context(USER), user);
    tlb.memory().write(RAM + 0x2ff8, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    tlb.insert(user, AccessKind::Read, 0x5000, RAM + 0x2000, PAGE_SIZE);
    assert_eq!(tlb.load(user, 0x5ff8, Width::B8), Some(0x0807_0605_0403_0201));
    assert_eq!(tlb.load(user, 0x5ffd, Width::B2), Some(0x0706));
    assert_eq!(tlb.load(user, 0x5ffd, Width::B4), None);
    assert_eq!(tlb.load(user, 0x4ffe, Width::B4), None);
    assert_eq!(tlb.load(user, 0x6000, Width::B1), None);
    assert_eq!(tlb.load(kernel, 0x5ff8, Width::B8), None);
    assert!(!tlb.store(user, 0x5ff8, Width::B8, 0));
    tlb.insert(user, AccessKind::Write, 0x5000, RAM + 0x2000, PAGE_SIZE);
    assert!(tlb.store(user, 0x5ff9, Width::B4, 0xaabb_ccdd));
    assert_eq!(tlb.load(user, 0x5ff8, Width::B8), Some(0x0807_06aa_bbcc_dd01));
    assert_eq!(tlb.load(user, u64::MAX, Width::B8), None);
}

#[test]
fn flushes_reach_as_far_as_they_say() {
    let frame = frame();
    let tlb = &frame.tlb;
    // A page has one place, so that two contexts keep pages of their own: the kernel from 0x4000 up.
    let fill = || {
        for (key, pages) in [(USER, 0..4), (KERNEL, 4..8)] {
            let id = tlb.context(key);
            for page in pages {
                for kind in [AccessKind::Read, AccessKind::Write, AccessKind::Fetch] {
                    tlb.insert(id, kind, page << 12, RAM + (page << 12), PAGE_SIZE);
                }
            }
        }
    };
    let there = |key, addr| {
        let id = tlb.context(key);
        assert_eq!(tlb.load(id, addr, Width::B1).is_some(), tlb.fetch(id, addr).is_some());
        assert_eq!(tlb.load_for_store(id, addr, Width::B1).is_some(), tlb.fetch(id, addr).is_some());
        tlb.fetch(id, addr).is_some()
    };
    fill();
    assert!(there(USER, 0x1000) && there(KERNEL, 0x5000) && !there(USER, 0x5000) && !there(KERNEL, 0));
    tlb.flush_page(0x1008, |_| true);
    tlb.flush_page(0x5008, |_| true);
    assert!(!there(USER, 0x1000) && !there(KERNEL, 0x5000) && there(USER, 0) && there(KERNEL, 0x6000));
    fill();
    tlb.flush_contexts(|key| key == USER);
    assert!(!there(USER, 0x1000) && there(KERNEL, 0x5000));
    fill();
    tlb.flush();
    assert!(!there(USER, 0x1000) && !there(KERNEL, 0x5000));
    fill();
    tlb.insert(tlb.context(USER), AccessKind::Read, 0, RAM, 0x4000);
    tlb.flush_page(0x3000, |key| key == USER);
    assert!(!there(USER, 0x1000) && there(KERNEL, 0x5000), "a large page goes as a whole");
}

#[test]
fn a_page_that_becomes_code_loses_its_write_entries_and_no_other_page_does() {
    let frame = frame();
    let tlb = &frame.tlb;
    let (user, kernel) = (tlb.context(USER), tlb.context(KERNEL));
    let enter = |id, vaddr, paddr| tlb.insert(id, AccessKind::Write, vaddr, paddr, PAGE_SIZE);
    let there = |id, vaddr| tlb.load_for_store(id, vaddr, Width::B8).is_some();
    // Four entries of one page, one of another; the second and then the first of them are replaced.
    for vaddr in [0x1000, 0x2000, 0x3000, 0x4000] {
        enter(user, vaddr, RAM + 0x5000);
    }
    enter(kernel, 0x5000, RAM + 0x6000);
    enter(kernel, 0x2000, RAM + 0x6000);
    enter(user, 0x1000 + ((ENTRIES as u64) << 12), RAM + 0x7000);
    // Flushed, it stays in its chain, and is entered again.
    tlb.flush_page(0x3000, |_| true);
    assert!(!there(user, 0x3000));
    enter(user, 0x3000, RAM + 0x5000);
    tlb.memory().mark_code(RAM + 0x5000, 4).unwrap();
    tlb.sync();
    assert!(!there(user, 0x1000) && !there(user, 0x3000) && !there(user, 0x4000));
    let moved = 0x1000 + ((ENTRIES as u64) << 12);
    assert!(there(kernel, 0x5000) && there(kernel, 0x2000) && there(user, moved));
    tlb.memory().mark_code(RAM + 0x6000, 4).unwrap();
    tlb.sync();
    assert!(!there(kernel, 0x5000) && !there(kernel, 0x2000) && there(user, moved));
}

/// Write entries come, move and go at random, and pages become code and data again: no entry to code survives `sync`.
#[test]
fn no_write_entry_leads_to_code() {
    let frame = frame();
    let tlb = &frame.tlb;
    let memory = tlb.memory();
    let id = tlb.context(USER);
    let mut seed = 1u64;
    let mut next = |below: u64| {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (seed >> 33) % below
    };
    // Each of 24 virtual pages shares its place with another one.
    let pages: Vec<u64> = (0..24).map(|n| (n % 12 + n / 12 * ENTRIES as u64) << 12).collect();
    let mut where_to = vec![None; pages.len()];
    for round in 0..20_000 {
        let n = next(24) as usize;
        let paddr = RAM + (next(8) << 12);
        match next(6) {
            0 => {
                // More than the log remembers, now and then.
                let times = if next(50) == 0 { 70 } else { 1 };
                for _ in 0..times {
                    memory.touched(paddr, 4);
                    memory.mark_code(paddr, 4).unwrap();
                }
                tlb.sync();
            }
            1 => memory.touched(paddr, 4),
            2 => tlb.flush_page(pages[n], |_| true),
            _ if !memory.page(paddr).unwrap().code => {
                tlb.insert(id, AccessKind::Write, pages[n], paddr, PAGE_SIZE);
                assert!(tlb.load_for_store(id, pages[n], Width::B1).is_some());
                where_to[n] = Some(paddr);
            }
            _ => {}
        }
        for (page, paddr) in pages.iter().zip(&where_to) {
            if tlb.load_for_store(id, *page, Width::B1).is_some() {
                assert!(!memory.page(paddr.unwrap()).unwrap().code, "round {round}");
            }
        }
    }
}

#[test]
fn a_closed_entry_tells_where_its_page_is_and_opens_once_the_code_is_gone() {
    let frame = frame();
    let tlb = &frame.tlb;
    let memory = tlb.memory();
    let (user, kernel) = (tlb.context(USER), tlb.context(KERNEL));
    let enter = |id, vaddr, paddr| tlb.insert(id, AccessKind::Write, vaddr, paddr, PAGE_SIZE);
    let is_open = |id, vaddr| tlb.load_for_store(id, vaddr, Width::B1).is_some();
    memory.mark_code(RAM + 0x5000, 4).unwrap();
    enter(user, 0x1000, RAM + 0x5000);
    enter(user, 0x2000, RAM + 0x6000);
    memory.mark_code(RAM + 0x6000, 4).unwrap();
    tlb.sync();
    for (vaddr, paddr) in [(0x1000, RAM + 0x5000), (0x2000, RAM + 0x6000)] {
        assert_eq!(tlb.find_store(user, vaddr + 8), Some(paddr + 8));
        assert_eq!(tlb.find_store(kernel, vaddr), None);
        assert!(!is_open(user, vaddr));
        memory.touched(paddr, 4);
        assert_eq!(tlb.find_store(user, vaddr), Some(paddr));
        assert!(is_open(user, vaddr));
        memory.mark_code(paddr, 4).unwrap();
        tlb.sync();
    }
    // A closed entry takes the place of an open one, and goes by a flush as that does.
    enter(user, 0x3000, RAM + 0x7000);
    enter(kernel, 0x3000, RAM + 0x6000);
    assert!(!is_open(user, 0x3000) && tlb.find_store(user, 0x3000).is_none());
    tlb.flush_page(0x3000, |_| true);
    tlb.flush_contexts(|key| key == USER);
    let user = tlb.context(USER);
    assert_eq!([(kernel, 0x3000), (user, 0x1000)].map(|(id, vaddr)| tlb.find_store(id, vaddr)), [None; 2]);
    enter(user, 0x1000, 0x1000);
    assert_eq!(tlb.find_store(user, 0x1000), None, "no store goes to ROM");
}

#[test]
fn what_was_fetched_once_is_known_until_a_flush() {
    let frame = frame();
    let tlb = &frame.tlb;
    let (user, kernel) = (tlb.context(USER), tlb.context(KERNEL));
    let enter = |id, vaddr, paddr| tlb.insert(id, AccessKind::Fetch, vaddr, paddr, PAGE_SIZE);
    let other = 0x1000 + ((FETCH_ENTRIES as u64) << 12);
    enter(user, 0x1000, RAM);
    enter(kernel, 0x1000, RAM + 0x1000);
    enter(user, other, RAM + 0x2000);
    assert_eq!(tlb.fetch(user, 0x1004), Some(RAM + 4));
    assert_eq!(tlb.fetch(kernel, 0x1ffe), Some(RAM + 0x1ffe));
    assert_eq!(tlb.fetch(user, other), Some(RAM + 0x2000));
    tlb.flush_page(0x1000, |_| true);
    assert_eq!([user, kernel].map(|id| tlb.fetch(id, 0x1000)), [None; 2]);
    assert_eq!(tlb.fetch(user, other), Some(RAM + 0x2000));
    // Full, it loses all, and so do those who know what it knew.
    let before = (tlb.flushes(), tlb.code_flushes());
    for n in 4..FetchMap::BOUND as u64 + 2 {
        enter(user, n << 12, RAM + 0x3000);
    }
    assert_eq!((tlb.flushes(), tlb.code_flushes()), before);
    enter(kernel, 0x1000, RAM);
    assert_eq!((tlb.flushes(), tlb.code_flushes()), (before.0 + 1, before.1 + 1));
    assert_eq!([other, 0x4000, 0x1_0000].map(|vaddr| tlb.fetch(user, vaddr)), [None; 3]);
    assert_eq!(tlb.fetch(kernel, 0x1000), Some(RAM));
}

#[test]
fn flushes_of_code_count_only_where_keys_stay_valid() {
    let frame = frame();
    let tlb = &frame.tlb;
    let user = tlb.context(USER);
    tlb.note_code(0x5000);
    tlb.flush_page(0x6000, |_| true);
    tlb.flush_contexts(|_| true);
    tlb.flush();
    assert_ne!(tlb.context(USER), user, "keys with the old number are dead");
    assert_eq!(tlb.code_flushes(), 0);
    tlb.flush_page(0x5008, |_| true);
    assert_eq!(tlb.code_flushes(), 1);
    tlb.flush_page(0x5008, |_| true);
    assert_eq!(tlb.code_flushes(), 1, "nothing was noted since");
    for space in 0..MAX_ID / ID_STEP {
        tlb.context(ContextKey { space, mode: 9 });
    }
    assert_eq!(tlb.code_flushes(), 2, "numbers are given out again");
}

#[test]
fn a_context_keeps_its_number_whoever_else_asks() {
    let frame = frame();
    let tlb = &frame.tlb;
    let key = |n: u64| ContextKey { space: n, mode: n as u32 % 3 };
    let ids: Vec<u64> = (0..300).map(|n| tlb.context(key(n))).collect();
    assert!((0..300).all(|n| tlb.context(key(n)) == ids[n as usize]));
    tlb.flush_contexts(|key| key.space % 2 == 0);
    for n in 0..300 {
        assert_eq!(tlb.context(key(n)) == ids[n as usize], n % 2 == 1, "{n}");
    }
}

#[test]
fn context_numbers_run_out_without_harm() {
    let frame = frame();
    let tlb = &frame.tlb;
    for round in 0..3 * PAGE_SIZE {
        let id = tlb.context(ContextKey { space: round, mode: 0 });
        assert!((1..PAGE_SIZE).contains(&id));
        assert_eq!(tlb.load(id, 0x5000, Width::B1), None, "round {round}");
        tlb.insert(id, AccessKind::Read, 0x5000, RAM, PAGE_SIZE);
        assert!(tlb.load(id, 0x5000, Width::B1).is_some());
    }
}

#[test]
fn stores_to_code_rom_and_devices_are_never_fast() {
    let frame = frame();
    let tlb = &frame.tlb;
    let id = tlb.context(USER);
    tlb.insert(id, AccessKind::Write, RAM, RAM, PAGE_SIZE);
    assert!(tlb.store(id, RAM, Width::B1, 1));
    tlb.memory().mark_code(RAM, 4).unwrap();
    tlb.sync();
    assert!(!tlb.store(id, RAM, Width::B1, 2));
    tlb.insert(id, AccessKind::Write, RAM, RAM, PAGE_SIZE);
    assert!(!tlb.store(id, RAM, Width::B1, 2));
    for paddr in [0x1000, 0x10_0000] {
        tlb.insert(id, AccessKind::Write, paddr, paddr, PAGE_SIZE);
        assert!(!tlb.store(id, paddr, Width::B1, 2));
    }
    tlb.insert(id, AccessKind::Read, 0x1000, 0x1000, PAGE_SIZE);
    assert_eq!(tlb.load(id, 0x1000, Width::B1), Some(0));
    tlb.memory().set_direct(0x1000, false);
    tlb.sync();
    let id = tlb.context(USER);
    assert_eq!(tlb.load(id, 0x1000, Width::B1), None);
}
