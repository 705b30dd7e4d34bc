# shellcheck shell=bash
# Seeds of the JSON targets: what corpus.sh reads.
begin json

# Every kind of value.
plain object_empty '{}'
plain array_empty '[]'
plain string_empty '""'
plain number_zero '0'
plain word_true 'true'
plain word_false 'false'
plain word_null 'null'
escaped blanks_around ' \t\r\n{ "a" : [ 1 , 2 ] } \n\r\t'
plain all_kinds '{"t":true,"f":false,"n":null,"i":-12,"r":0.5,"s":"x","a":[],"o":{}}'
plain events '[{"type":"opened","data":{"owner":"Ada"}},{"type":"closed","data":null}]'

# Numbers.
plain minus_zero '-0'
plain digits_before_and_after '[0.0,-0.5,10.25,100]'
plain exponents '[1e0,1E+09,1e-07,0e1,-1.5e+300]'
plain exponents_beyond_doubles '[1e400,-1e400,1e-400,-1e-4000000000]'
plain integers_at_53_bits '[9007199254740991,-9007199254740991,9007199254740992,9007199254740993]'
plain integers_at_64_bits '[9223372036854775807,-9223372036854775808,9223372036854775808]'
plain integers_in_strings '["9223372036854775807","-9223372036854775808","9223372036854775808","-0","01"]'
plain long_number '1234567890123456789012345678901234567890.1234567890123456789012345678901234567890'
plain shortest_doubles '[0.1,0.30000000000000004,5e-324,2.2250738585072014e-308,1.7976931348623157e308]'
plain number_with_leading_zero '01'
plain number_without_digits '[-]'
plain number_without_fraction '[1.]'
plain number_without_exponent '[1e]'
plain number_with_plus '[+1]'

# Strings.
plain escapes_short '["\"\\\/\b\f\n\r\t"]'
plain escapes_long '["\u0001\u001f\u007f\u00e9\uABCD\uabcd\uffff"]'
plain surrogate_pair '["\ud83d\ude00\uDBFF\uDFFF"]'
plain surrogate_half_first '["\ud83d"]'
plain surrogate_half_second '["\ude00"]'
plain surrogate_with_other '["\ud83d\u0041"]'
plain escaped_nul '["\u0000"]'
plain escape_unknown '["\x41"]'
plain escape_cut '["\u12"]'
escaped utf8_of_each_size '["\xc2\xa9\xe2\x82\xac\xf0\x9f\x98\x80"]'
escaped utf8_overlong '["\xc0\xaf"]'
escaped utf8_surrogate '["\xed\xa0\x80"]'
escaped utf8_beyond_unicode '["\xf4\x90\x80\x80"]'
escaped utf8_cut '["\xe2\x82"]'
escaped byte_order_mark '\xef\xbb\xbf{}'
escaped control_character '["a\x01b"]'
escaped raw_nul '["a\x00b"]'
plain string_without_end '["a'
plain string_of_a_vector "[\"$(repeated abcdefgh 9)\",\"$(repeated a 31)\\n$(repeated b 33)\"]"

# Keys.
plain keys_in_order '{"a":1,"b":2,"c":{"a":1,"b":2}}'
plain key_twice '{"a":1,"b":2,"a":3}'
plain key_twice_escaped '{"ab":1,"\u0061b":2}'
plain key_twice_inside '[{"x":{"a":1,"\u0061":2}}]'
plain key_empty '{"":{"":[]}}'
plain key_alike '{"abcdefgh1":1,"abcdefgh2":2,"abcdefg":3,"abcdefgh":4}'
plain keys_many "{$(for i in {0..70}; do printf '"k%s":%s,' "$i" "$i"; done)\"k\":0}"
plain key_twice_of_many "{$(for i in {0..70}; do printf '"k%s":%s,' "$i" "$i"; done)\"k50\":0}"
plain key_without_value '{"a"}'
plain key_without_quotes '{a:1}'

# Structure.
plain comma_at_the_end '[1,2,]'
plain comma_missing '[1 2]'
plain brackets_crossed '[{"a":[1}]]'
plain something_after_it '{} {}'
plain word_cut 'tru'
plain word_in_capitals '[True,NaN,Infinity]'
plain comment '[1,/* two */2]'
plain only_blanks '   '
plain nested_64 "$(repeated '[' 64)$(repeated ']' 64)"
plain nested_65 "$(repeated '[' 65)$(repeated ']' 65)"
plain nested_objects "$(repeated '{"a":' 20)0$(repeated '}' 20)"
plain depth_of_two '[[1],{"a":2}]' 30
plain depth_of_three '[[[1]],{"a":[2]}]' 30
plain depth_beyond_the_frames "$(repeated '[' 99)1$(repeated ']' 99)" :0
plain size_of_eight '[1,2,34]' 04
plain size_of_nine '[1,2,345]' 04
