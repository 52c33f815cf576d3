;; Blocks of lz4, and the checksum of their content, in memory that several threads share.
;; Sources: "LZ4 Block Format Description", "xxHash fast digest algorithm" (XXH32).
(module
  (import "ring" "memory" (memory 1 65536 shared))

  ;; Decodes one block. Nothing outside of [src, srcEnd) is taken into account, and nothing outside of [dst, dstEnd) is written.
  ;; Returns where the plain bytes end, or 0 for a block that breaks the rules of the format.
  (func $decode (export "decode") (param $src i32) (param $srcEnd i32) (param $dst i32) (param $dstEnd i32) (result i32)
    (local $start i32) (local $token i32) (local $len i32) (local $byte i32) (local $offset i32) (local $match i32) (local $end i32)
    (local $srcSafe i32) (local $dstSafe i32)
    (local.set $start (local.get $dst))
    (local.set $srcSafe (i32.sub (local.get $srcEnd) (i32.const 32)))
    (local.set $dstSafe (i32.sub (local.get $dstEnd) (i32.const 64)))
    (loop $sequence
      (if (i32.ge_u (local.get $src) (local.get $srcEnd)) (then (return (i32.const 0))))
      (local.set $token (i32.load8_u (local.get $src)))
      (local.set $src (i32.add (local.get $src) (i32.const 1)))
      (local.set $len (i32.shr_u (local.get $token) (i32.const 4)))
      (block $literalsDone
        (if (i32.and (i32.lt_u (local.get $len) (i32.const 15))
                     (i32.and (i32.lt_s (local.get $src) (local.get $srcSafe)) (i32.lt_s (local.get $dst) (local.get $dstSafe))))
          (then
            (v128.store align=1 (local.get $dst) (v128.load align=1 (local.get $src)))
            (local.set $dst (i32.add (local.get $dst) (local.get $len)))
            (local.set $src (i32.add (local.get $src) (local.get $len)))
            (br $literalsDone)))
        (if (i32.eq (local.get $len) (i32.const 15))
          (then (loop $more
            (if (i32.ge_u (local.get $src) (local.get $srcEnd)) (then (return (i32.const 0))))
            (local.set $byte (i32.load8_u (local.get $src)))
            (local.set $src (i32.add (local.get $src) (i32.const 1)))
            (local.set $len (i32.add (local.get $len) (local.get $byte)))
            (br_if $more (i32.eq (local.get $byte) (i32.const 255))))))
        (if (i32.gt_u (local.get $len) (i32.sub (local.get $srcEnd) (local.get $src))) (then (return (i32.const 0))))
        (if (i32.gt_u (local.get $len) (i32.sub (local.get $dstEnd) (local.get $dst))) (then (return (i32.const 0))))
        (memory.copy (local.get $dst) (local.get $src) (local.get $len))
        (local.set $dst (i32.add (local.get $dst) (local.get $len)))
        (local.set $src (i32.add (local.get $src) (local.get $len)))
        (if (i32.eq (local.get $src) (local.get $srcEnd)) (then (return (local.get $dst)))))
      (if (i32.gt_u (i32.const 2) (i32.sub (local.get $srcEnd) (local.get $src))) (then (return (i32.const 0))))
      (local.set $offset (i32.load16_u align=1 (local.get $src)))
      (local.set $src (i32.add (local.get $src) (i32.const 2)))
      (local.set $match (i32.sub (local.get $dst) (local.get $offset)))
      (if (i32.or (i32.lt_u (local.get $match) (local.get $start)) (i32.eqz (local.get $offset))) (then (return (i32.const 0))))
      (local.set $len (i32.and (local.get $token) (i32.const 15)))
      (if (i32.and (i32.and (i32.lt_u (local.get $len) (i32.const 15)) (i32.ge_u (local.get $offset) (i32.const 16))) (i32.lt_s (local.get $dst) (local.get $dstSafe)))
        (then
          (v128.store align=1 (local.get $dst) (v128.load align=1 (local.get $match)))
          (i32.store16 offset=16 align=1 (local.get $dst) (i32.load16_u offset=16 align=1 (local.get $match)))
          (local.set $dst (i32.add (local.get $dst) (i32.add (local.get $len) (i32.const 4))))
          (br $sequence)))
      (if (i32.eq (local.get $len) (i32.const 15))
        (then (loop $more2
          (if (i32.ge_u (local.get $src) (local.get $srcEnd)) (then (return (i32.const 0))))
          (local.set $byte (i32.load8_u (local.get $src)))
          (local.set $src (i32.add (local.get $src) (i32.const 1)))
          (local.set $len (i32.add (local.get $len) (local.get $byte)))
          (br_if $more2 (i32.eq (local.get $byte) (i32.const 255))))))
      (local.set $len (i32.add (local.get $len) (i32.const 4)))
      ;; The last five bytes of a full block are literals.
      (local.set $end (i32.add (local.get $dst) (local.get $len)))
      (if (i32.gt_s (local.get $end) (i32.sub (local.get $dstEnd) (i32.const 5))) (then (return (i32.const 0))))
      (if (i32.and (i32.ge_u (local.get $offset) (i32.const 16)) (i32.lt_s (local.get $end) (local.get $dstSafe)))
        (then (loop $wide
          (v128.store align=1 (local.get $dst) (v128.load align=1 (local.get $match)))
          (v128.store offset=16 align=1 (local.get $dst) (v128.load offset=16 align=1 (local.get $match)))
          (local.set $dst (i32.add (local.get $dst) (i32.const 32)))
          (local.set $match (i32.add (local.get $match) (i32.const 32)))
          (br_if $wide (i32.lt_u (local.get $dst) (local.get $end)))))
        (else (if (i32.and (i32.ge_u (local.get $offset) (i32.const 8)) (i32.lt_s (local.get $end) (local.get $dstSafe)))
          (then (loop $eight
            (i64.store align=1 (local.get $dst) (i64.load align=1 (local.get $match)))
            (local.set $dst (i32.add (local.get $dst) (i32.const 8)))
            (local.set $match (i32.add (local.get $match) (i32.const 8)))
            (br_if $eight (i32.lt_u (local.get $dst) (local.get $end)))))
          (else (if (i32.and (i32.eq (local.get $offset) (i32.const 1)) (i32.lt_s (local.get $end) (local.get $dstSafe)))
            (then (memory.fill (local.get $dst) (i32.load8_u (local.get $match)) (local.get $len)))
            (else (loop $one
            (i32.store8 (local.get $dst) (i32.load8_u (local.get $match)))
            (local.set $dst (i32.add (local.get $dst) (i32.const 1)))
            (local.set $match (i32.add (local.get $match) (i32.const 1)))
            (br_if $one (i32.lt_u (local.get $dst) (local.get $end))))))))))
      (local.set $dst (local.get $end))
      (br $sequence))
    (unreachable))

  ;; The four lanes of XXH32, which the caller sets, and sixteen bytes at a time of what they take in.
  (global $lane1 (export "lane1") (mut i32) (i32.const 0))
  (global $lane2 (export "lane2") (mut i32) (i32.const 0))
  (global $lane3 (export "lane3") (mut i32) (i32.const 0))
  (global $lane4 (export "lane4") (mut i32) (i32.const 0))
  (func $round (param $lane i32) (param $word i32) (result i32)
    (i32.mul
      (i32.rotl (i32.add (local.get $lane) (i32.mul (local.get $word) (i32.const 0x85ebca77))) (i32.const 13))
      (i32.const 0x9e3779b1)))
  (func (export "mix") (param $src i32) (param $srcEnd i32)
    (local $a i32) (local $b i32) (local $c i32) (local $d i32)
    (local.set $a (global.get $lane1))
    (local.set $b (global.get $lane2))
    (local.set $c (global.get $lane3))
    (local.set $d (global.get $lane4))
    (block $done
      (loop $stripe
        (br_if $done (i32.gt_u (i32.add (local.get $src) (i32.const 16)) (local.get $srcEnd)))
        (local.set $a (call $round (local.get $a) (i32.load align=1 (local.get $src))))
        (local.set $b (call $round (local.get $b) (i32.load offset=4 align=1 (local.get $src))))
        (local.set $c (call $round (local.get $c) (i32.load offset=8 align=1 (local.get $src))))
        (local.set $d (call $round (local.get $d) (i32.load offset=12 align=1 (local.get $src))))
        (local.set $src (i32.add (local.get $src) (i32.const 16)))
        (br $stripe)))
    (global.set $lane1 (local.get $a))
    (global.set $lane2 (local.get $b))
    (global.set $lane3 (local.get $c))
    (global.set $lane4 (local.get $d)))

  ;; The place in the hash table, at $table, for the five bytes at $at: twelve bits of a product, times the four bytes of an entry.
  (func $slot (param $table i32) (param $at i32) (result i32)
    (i32.add (local.get $table)
      (i32.and
        (i32.wrap_i64 (i64.shr_u
          (i64.mul (i64.shl (i64.load align=1 (local.get $at)) (i64.const 24)) (i64.const 889523592379))
          (i64.const 50)))
        (i32.const 0x3ffc))))

  ;; Writes the rest of a length that is 15 or more, less 15, and returns the end of what is written.
  (func $length (param $dst i32) (param $rest i32) (result i32)
    (block $last
      (loop $full
        (br_if $last (i32.lt_u (local.get $rest) (i32.const 255)))
        (i32.store8 (local.get $dst) (i32.const 255))
        (local.set $dst (i32.add (local.get $dst) (i32.const 1)))
        (local.set $rest (i32.sub (local.get $rest) (i32.const 255)))
        (br $full)))
    (i32.store8 (local.get $dst) (local.get $rest))
    (i32.add (local.get $dst) (i32.const 1)))

  ;; Returns how many bytes at $at and at $match are alike, before $limit.
  (func $alike (param $at i32) (param $match i32) (param $limit i32) (result i32)
    (local $start i32) (local $difference i64)
    (local.set $start (local.get $at))
    (block $few
      (loop $eight
        (br_if $few (i32.gt_u (i32.add (local.get $at) (i32.const 8)) (local.get $limit)))
        (local.set $difference (i64.xor (i64.load align=1 (local.get $at)) (i64.load align=1 (local.get $match))))
        (if (i64.ne (local.get $difference) (i64.const 0))
          (then (return (i32.add (i32.sub (local.get $at) (local.get $start))
                                 (i32.wrap_i64 (i64.shr_u (i64.ctz (local.get $difference)) (i64.const 3)))))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (local.set $match (i32.add (local.get $match) (i32.const 8)))
        (br $eight)))
    (block $done
      (loop $one
        (br_if $done (i32.ge_u (local.get $at) (local.get $limit)))
        (br_if $done (i32.ne (i32.load8_u (local.get $at)) (i32.load8_u (local.get $match))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $match (i32.add (local.get $match) (i32.const 1)))
        (br $one)))
    (i32.sub (local.get $at) (local.get $start)))

  ;; Compresses [src, srcEnd) to dst, and returns where the compressed bytes end. The room at dst has to be as long as a block of
  ;; these bytes can become, and 32 bytes more. $table has room for 16 KiB. At least 13 bytes must be compressed.
  (func (export "encode") (param $src i32) (param $srcEnd i32) (param $dst i32) (param $table i32) (result i32)
    (local $at i32) (local $match i32) (local $anchor i32) (local $next i32) (local $nextSlot i32) (local $slot i32)
    (local $tries i32) (local $step i32) (local $searchEnd i32) (local $matchEnd i32) (local $token i32) (local $len i32)
    (local $from i32) (local $to i32) (local $difference i64)
    (memory.fill (local.get $table) (i32.const 0) (i32.const 16384))
    (local.set $searchEnd (i32.sub (local.get $srcEnd) (i32.const 11)))
    (local.set $matchEnd (i32.sub (local.get $srcEnd) (i32.const 5)))
    (local.set $anchor (local.get $src))
    (i32.store (i32.add (local.get $table) (i32.and (i32.wrap_i64 (i64.shr_u (i64.mul (i64.shl (i64.load align=1 (local.get $src)) (i64.const 24)) (i64.const 889523592379)) (i64.const 50))) (i32.const 0x3ffc))) (local.get $src))
    (local.set $at (i32.add (local.get $src) (i32.const 1)))
    (local.set $nextSlot (i32.add (local.get $table) (i32.and (i32.wrap_i64 (i64.shr_u (i64.mul (i64.shl (i64.load align=1 (local.get $at)) (i64.const 24)) (i64.const 889523592379)) (i64.const 50))) (i32.const 0x3ffc))))
    (block $last
      (loop $search
        (local.set $next (local.get $at))
        (local.set $step (i32.const 1))
        (local.set $tries (i32.const 64))
        (loop $try
          (local.set $slot (local.get $nextSlot))
          (local.set $at (local.get $next))
          (local.set $next (i32.add (local.get $next) (local.get $step)))
          (local.set $step (i32.shr_u (local.get $tries) (i32.const 6)))
          (local.set $tries (i32.add (local.get $tries) (i32.const 1)))
          (br_if $last (i32.gt_u (local.get $next) (local.get $searchEnd)))
          (local.set $match (i32.load (local.get $slot)))
          (local.set $nextSlot (i32.add (local.get $table) (i32.and (i32.wrap_i64 (i64.shr_u (i64.mul (i64.shl (i64.load align=1 (local.get $next)) (i64.const 24)) (i64.const 889523592379)) (i64.const 50))) (i32.const 0x3ffc))))
          (i32.store (local.get $slot) (local.get $at))
          (br_if $try (i32.lt_u (i32.add (local.get $match) (i32.const 65535)) (local.get $at)))
          (br_if $try (i32.ne (i32.load align=1 (local.get $match)) (i32.load align=1 (local.get $at)))))
        (block $caughtUp
          (loop $back
            (br_if $caughtUp (i32.le_u (local.get $at) (local.get $anchor)))
            (br_if $caughtUp (i32.le_u (local.get $match) (local.get $src)))
            (br_if $caughtUp (i32.ne (i32.load8_u (i32.sub (local.get $at) (i32.const 1)))
                                     (i32.load8_u (i32.sub (local.get $match) (i32.const 1)))))
            (local.set $at (i32.sub (local.get $at) (i32.const 1)))
            (local.set $match (i32.sub (local.get $match) (i32.const 1)))
            (br $back)))
        (local.set $len (i32.sub (local.get $at) (local.get $anchor)))
        (local.set $token (local.get $dst))
        (local.set $dst (i32.add (local.get $dst) (i32.const 1)))
        (if (i32.ge_u (local.get $len) (i32.const 15))
          (then
            (i32.store8 (local.get $token) (i32.const 0xf0))
            (local.set $dst (call $length (local.get $dst) (i32.sub (local.get $len) (i32.const 15)))))
          (else (i32.store8 (local.get $token) (i32.shl (local.get $len) (i32.const 4)))))
        (local.set $from (local.get $anchor))
        (local.set $to (local.get $dst))
        (local.set $dst (i32.add (local.get $dst) (local.get $len)))
        (loop $copy
          (v128.store align=1 (local.get $to) (v128.load align=1 (local.get $from)))
          (local.set $to (i32.add (local.get $to) (i32.const 16)))
          (local.set $from (i32.add (local.get $from) (i32.const 16)))
          (br_if $copy (i32.lt_u (local.get $to) (local.get $dst))))
        (loop $matches
          (i32.store16 align=1 (local.get $dst) (i32.sub (local.get $at) (local.get $match)))
          (local.set $dst (i32.add (local.get $dst) (i32.const 2)))
          (if (i32.and (i64.ne (local.tee $difference (i64.xor (i64.load offset=4 align=1 (local.get $at)) (i64.load offset=4 align=1 (local.get $match)))) (i64.const 0))
                       (i32.le_u (i32.add (local.get $at) (i32.const 12)) (local.get $matchEnd)))
            (then (local.set $len (i32.wrap_i64 (i64.shr_u (i64.ctz (local.get $difference)) (i64.const 3)))))
            (else (local.set $len (call $alike (i32.add (local.get $at) (i32.const 4)) (i32.add (local.get $match) (i32.const 4)) (local.get $matchEnd)))))
          (local.set $at (i32.add (local.get $at) (i32.add (local.get $len) (i32.const 4))))
          (if (i32.ge_u (local.get $len) (i32.const 15))
            (then
              (i32.store8 (local.get $token) (i32.or (i32.load8_u (local.get $token)) (i32.const 15)))
              (local.set $dst (call $length (local.get $dst) (i32.sub (local.get $len) (i32.const 15)))))
            (else (i32.store8 (local.get $token) (i32.or (i32.load8_u (local.get $token)) (local.get $len)))))
          (local.set $anchor (local.get $at))
          (br_if $last (i32.ge_u (local.get $at) (local.get $searchEnd)))
          (i32.store (i32.add (local.get $table) (i32.and (i32.wrap_i64 (i64.shr_u (i64.mul (i64.shl (i64.load align=1 (i32.sub (local.get $at) (i32.const 2))) (i64.const 24)) (i64.const 889523592379)) (i64.const 50))) (i32.const 0x3ffc))) (i32.sub (local.get $at) (i32.const 2)))
          (local.set $slot (i32.add (local.get $table) (i32.and (i32.wrap_i64 (i64.shr_u (i64.mul (i64.shl (i64.load align=1 (local.get $at)) (i64.const 24)) (i64.const 889523592379)) (i64.const 50))) (i32.const 0x3ffc))))
          (local.set $match (i32.load (local.get $slot)))
          (i32.store (local.get $slot) (local.get $at))
          (if (i32.and
                (i32.ge_u (i32.add (local.get $match) (i32.const 65535)) (local.get $at))
                (i32.eq (i32.load align=1 (local.get $match)) (i32.load align=1 (local.get $at))))
            (then
              (local.set $token (local.get $dst))
              (i32.store8 (local.get $token) (i32.const 0))
              (local.set $dst (i32.add (local.get $dst) (i32.const 1)))
              (br $matches))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $nextSlot (i32.add (local.get $table) (i32.and (i32.wrap_i64 (i64.shr_u (i64.mul (i64.shl (i64.load align=1 (local.get $at)) (i64.const 24)) (i64.const 889523592379)) (i64.const 50))) (i32.const 0x3ffc))))
        (br $search)))
    (local.set $len (i32.sub (local.get $srcEnd) (local.get $anchor)))
    (local.set $token (local.get $dst))
    (local.set $dst (i32.add (local.get $dst) (i32.const 1)))
    (if (i32.ge_u (local.get $len) (i32.const 15))
      (then
        (i32.store8 (local.get $token) (i32.const 0xf0))
        (local.set $dst (call $length (local.get $dst) (i32.sub (local.get $len) (i32.const 15)))))
      (else (i32.store8 (local.get $token) (i32.shl (local.get $len) (i32.const 4)))))
    (memory.copy (local.get $dst) (local.get $anchor) (local.get $len))
    (i32.add (local.get $dst) (local.get $len))))
