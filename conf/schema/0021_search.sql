-- SPDX-License-Identifier: Apache-2.0
-- Searches with one or two characters. They have no trigram of their own, so that a search for them anywhere would read
-- all texts.

-- The pattern for titles. One or two characters are no expression, and must begin a word. pg_trgm finds trigrams in the
-- pattern because it names the few characters that may precede them; it ignores a class with any above U+07FF.
CREATE FUNCTION learnhub.title_pattern(sought text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN length(sought) > 2 THEN learnhub.search_pattern(sought)
                ELSE '(^|[\t\n\r -/:-@\[-`{-~\u00a0\u00a1\u00ab\u00bb\u00bf])'
                     || regexp_replace(sought, '[][\\^$.|?*+(){}]', '\\\&', 'g') END;

-- The pattern for descriptions: NULL, which no description matches, for one or two characters.
CREATE FUNCTION learnhub.description_pattern(sought text) RETURNS text LANGUAGE sql IMMUTABLE
    RETURN CASE WHEN length(sought) > 2 THEN learnhub.search_pattern(sought) END;
