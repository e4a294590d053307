\set ECHO none
-- What chat.read_log answers, as rows: a header, then the events.
CREATE FUNCTION number_of(bytes bytea, at integer, size integer) RETURNS bigint LANGUAGE sql IMMUTABLE AS
$$ SELECT ('x' || lpad(encode(substr(bytes, at + 1, size), 'hex'), 16, '0'))::bit(64)::bigint $$;
CREATE FUNCTION words_of(bytes bytea, at bigint, size bigint) RETURNS text LANGUAGE sql IMMUTABLE AS
$$ SELECT convert_from(substr(bytes, at::integer + 1, size::integer), 'UTF8') $$;

CREATE FUNCTION read_log(last_id bigint, snapshot text, max_rows integer DEFAULT 1000, flags integer DEFAULT 2,
                                 target text DEFAULT NULL, late_id bigint DEFAULT NULL, max_bytes integer DEFAULT 1000000,
    OUT id bigint, OUT topic text, OUT event text, OUT conversation text, OUT created_at timestamptz, OUT expires_at timestamptz, OUT state boolean,
    OUT closed boolean, OUT owner text, OUT payload jsonb, OUT message jsonb, OUT armed boolean, OUT more boolean, OUT events bigint, OUT next_snapshot text, OUT next_target text, OUT next_late_id bigint)
    RETURNS SETOF record LANGUAGE plpgsql AS
$$
DECLARE
    piece bytea;
    at integer;
    texts bigint[];
    micros bigint;
BEGIN
    FOR piece IN SELECT * FROM chat.read_log(last_id, snapshot, target, late_id, max_rows, max_bytes, flags) LOOP
        at := 0;
        IF events IS NULL THEN
            ASSERT get_byte(piece, 0) = 1;
            armed := get_byte(piece, 1) & 1 = 1;
            more := get_byte(piece, 1) & 2 = 2;
            events := number_of(piece, 4, 4);
            id := number_of(piece, 8, 8);
            next_late_id := number_of(piece, 16, 8);
            created_at := 'epoch'::timestamptz + number_of(piece, 24, 8) * interval '1 us';
            texts := ARRAY[number_of(piece, 32, 4), number_of(piece, 36, 4)];
            next_snapshot := words_of(piece, 40, texts[1]);
            next_target := nullif(words_of(piece, 40 + texts[1], texts[2]), '');
            at := 40 + texts[1] + texts[2];
            RETURN NEXT;
            armed := NULL; more := NULL; next_snapshot := NULL; next_target := NULL; next_late_id := NULL;
        END IF;
        WHILE at < length(piece) LOOP
            id := number_of(piece, at + 4, 8);
            created_at := 'epoch'::timestamptz + number_of(piece, at + 12, 8) * interval '1 us';
            micros := number_of(piece, at + 20, 8);
            expires_at := CASE WHEN micros > 0 THEN 'epoch'::timestamptz + micros * interval '1 us' END;
            state := number_of(piece, at + 28, 4) & 1 = 1;
            closed := number_of(piece, at + 28, 4) & 2 = 2;
            texts := ARRAY[number_of(piece, at + 32, 4), number_of(piece, at + 36, 4), number_of(piece, at + 40, 4), number_of(piece, at + 44, 4)];
            conversation := words_of(piece, at + 48, texts[1]);
            IF flags & 4 = 4 THEN
                owner := words_of(piece, at + 48 + texts[1], texts[2]);
                message := words_of(piece, at + 48 + texts[1] + texts[2], number_of(piece, at, 4) - 44 - texts[1] - texts[2])::jsonb;
                ASSERT length(message ->> 'type') = texts[3];
                event := message ->> 'type';
                payload := message -> 'data';
                RETURN NEXT;
                at := at + 4 + number_of(piece, at, 4);
                CONTINUE;
            END IF;
            IF flags & 8 = 8 THEN
                topic := words_of(piece, at + 48 + texts[1], texts[2]);
                message := words_of(piece, at + 48 + texts[1] + texts[2], number_of(piece, at, 4) - 44 - texts[1] - texts[2])::jsonb;
                event := message #>> '{packet,data,0}';
                payload := message #> '{packet,data,1}';
                ASSERT length(event) = texts[3];
                RETURN NEXT;
                at := at + 4 + number_of(piece, at, 4);
                CONTINUE;
            END IF;
            message := words_of(piece, at + 48 + texts[1], number_of(piece, at, 4) - 44 - texts[1])::jsonb;
            topic := words_of(piece, at + 48 + texts[1] + 10, texts[2]);
            event := words_of(piece, at + 48 + texts[1] + 10 + texts[2] + 11, texts[3]);
            payload := words_of(piece, at + 48 + texts[1] + 10 + texts[2] + 11 + texts[3] + 12, texts[4]);
            RETURN NEXT;
            at := at + 4 + number_of(piece, at, 4);
        END LOOP;
    END LOOP;
END
$$;
\set ECHO all
