# shellcheck shell=bash
# Seeds of the CBOR gate: what corpus.sh reads. In hexadecimal; RFC 8949 says what the bytes mean.
begin cbor

# Integers, of each size and beyond the shortest.
binary integers_small '84 00 17 20 37'
binary integers_of_one_byte '82 18 18 38 ff'
binary integers_of_two_bytes '82 19 0100 39 ffff'
binary integers_of_four_bytes '82 1a 00010000 3a ffffffff'
binary integers_of_eight_bytes '82 1b 0000000100000000 3b ffffffffffffffff'
binary integers_too_long '84 1800 190000 1a00000000 3b0000000000000000'
binary integer_cut '1a 0000'
binary integer_reserved '1c'
binary integer_indefinite '1f'

# Strings.
binary bytes_empty '40'
binary bytes_short '43 00ff80'
binary bytes_with_long_head '5b 0000000000000002 6162'
binary bytes_beyond_the_end '45 6162'
binary bytes_of_the_largest_size '5b ffffffffffffffff 61'
binary bytes_in_chunks '5f 42 6162 40 41 63 ff'
binary text_empty '60'
binary text_of_each_size_of_character '6a 61 c2a9 e282ac f09f9880'
binary text_with_nul '63 610062'
binary text_no_utf8 '62 c0af'
binary text_with_surrogate '63 eda080'
binary text_beyond_unicode '64 f4908080'
binary text_long "$(printf '7818')$(repeated 61 24)"
binary text_long_no_utf8 "$(printf '7819')$(repeated 61 24)ff"
binary text_in_chunks '7f 62 6162 60 61 63 ff'
binary text_character_in_two_chunks '7f 61 c2 61 a9 ff'
binary text_chunk_of_bytes '7f 41 61 ff'
binary text_chunk_indefinite '7f 7f 61 61 ff ff'
binary text_chunks_without_end '7f 61 61'

# Arrays and maps.
binary array_empty '80'
binary array_nested '83 01 82 02 03 81 80'
binary array_indefinite '9f 01 9f ff 82 02 03 ff'
binary array_too_few '83 01 02'
binary array_of_too_many '9b ffffffffffffffff'
binary array_with_long_head '9a 00000001 00'
binary map_empty 'a0'
binary map_of_text 'a2 61 61 01 61 62 82 02 03'
binary map_of_all_keys 'a4 00 01 20 02 41 61 03 61 61 04'
binary map_indefinite 'bf 61 61 01 61 62 bf ff ff'
binary map_break_before_value 'bf 61 61 ff'
binary map_of_too_many 'bb 8000000000000000'
binary map_key_twice 'a2 61 61 01 61 61 02'
binary map_key_twice_in_chunks 'a2 62 6162 01 7f 61 61 61 62 ff 02'
binary map_key_twice_with_long_head 'a2 01 01 1801 02'
binary map_keys_alike 'a3 00 01 40 02 60 03'
binary map_key_array 'a1 80 01'
binary map_key_true 'a1 f5 01'
binary map_key_tagged 'a1 c1 00 01'
binary map_in_map 'a1 61 61 a1 61 61 a1 61 61 00'
binary map_of_many "b818$(for i in {16..39}; do printf '62%x%x00' $((0x30 + i / 10)) $((0x30 + i % 10)); done)"

# Tags.
binary tag_date 'c1 1a 65e07a40'
binary tag_big_integer 'c2 49 010000000000000000'
binary tag_of_tag 'd9 d9f7 d8 20 61 61'
binary tag_on_nothing 'c1'
binary tag_on_break '9f c1 ff'
binary tag_around_a_map '82 c0 a1 61 61 c0 80 00'

# Simple values and reals.
binary simple_values '86 f4 f5 f6 f7 e0 f8ff'
binary simple_value_in_two_bytes 'f8 18'
binary simple_reserved 'fc'
binary break_alone 'ff'
binary reals_of_16_bits '87 f90000 f98000 f93c00 f90001 f97bff f97c00 f97e00'
binary reals_of_32_bits '83 fa7f7fffff fa00000001 fa7fc00001'
binary reals_of_64_bits '84 fb3ff199999999999a fb0000000000000001 fbffefffffffffffff fbfff0000000000000'

# Limits, and what stands around it.
binary nothing ''
binary something_after_it '01 02'
binary nested_64 "$(repeated 81 63)80"
binary nested_65 "$(repeated 81 64)80"
binary nested_tags "$(repeated c1 20)00"
binary nested_to_the_chosen_depth '81 a1 00 c1 00' 40
binary nested_beyond_the_frames "$(repeated 9f 90)$(repeated ff 90)" :0
binary items_of_the_chosen_count '82 00 00' 09
binary items_too_many '83 00 00 00' 09
binary chunks_count_as_items '5f 41 61 41 61 41 61 ff' 09
binary size_of_the_chosen_size '47 61626364656667' 04
