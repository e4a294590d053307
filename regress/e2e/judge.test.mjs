// The judgement of deliveries that other tests rest on (lib/load.mjs): what counts as lost and as disorder.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../lib/load.mjs';

const event = (id, name, conversation, topic) => ({ id: String(id), topic, event: name, conversation });
const state = (id, conversation = '1') => event(id, 'conversation.updated', conversation, 'user:u:inbox');
const step = (id, conversation = '1') => event(id, 'conversation.assigned', conversation, 'user:u:inbox');
const message = (id, conversation = '1') => event(id, 'message.created', conversation, `conversation:${conversation}`);

/** Of the events of a log these arrived, by id, in this order; ids that are not in it are states of conversation 1. */
function judged(log, ids, options) {
  const sent = (id) => log.find((known) => known.id === String(id)) ?? state(id);
  const arrived = ids.map((id) => ({ ...sent(id), payload: { id: sent(id).conversation } }));
  const { lost, disorder, duplicates } = judge(log, arrived, options);
  return { lost, disorder: disorder.map((text) => text.replace(/.*: /, '')), duplicates };
}

const good = (duplicates = 0) => ({ lost: [], disorder: [], duplicates });

test('all in order; ids are numbers, not texts', () => {
  assert.deepEqual(judged([message(9), message(10), message(11)], [9, 10, 10, 11, 9]), good(2));
});

test('what did not come is lost; of states all but the newest need not come', () => {
  assert.deepEqual(judged([message(1), state(2), state(3), message(4)], [1, 3]), { lost: ['4'], disorder: [], duplicates: 0 });
  assert.deepEqual(judged([state(2), state(3)], [2]).lost, ['3']);
  assert.deepEqual(judged([state(2), state(3)], [3], { every: true }).lost, ['2']);
  assert.deepEqual(judged([state(2), state(3)], [2, 4]), good(), 'one written since took its place');
});

test('a first delivery after a newer one of its topic and conversation is disorder, whatever comes then', () => {
  assert.deepEqual(judged([message(1), message(2)], [2, 1]).disorder, ['2 before 1']);
  assert.deepEqual(judged([message(1), message(2)], [2, 1, 2]).disorder, ['2 before 1']);
  assert.deepEqual(judged([message(1), message(2, '2')], [2, 1]), good(), 'another conversation');
  assert.deepEqual(judged([state(1), state(2)], [2, 1, 2], { every: true }).disorder, ['2 before 1'], 'where no state replaces another');
});

test('where some were asked for, order says nothing', () => {
  assert.deepEqual(judged([message(1), message(2), state(3), state(4)], [2, 1, 4, 3], { ordered: false }), good());
});

test('a state that was replaced may come late where the newest comes again after it', () => {
  const log = [state(1), state(2), state(3)];
  assert.deepEqual(judged(log, [3, 1, 3]), good(1));
  assert.deepEqual(judged(log, [3, 1, 2, 3]), good(1));
  assert.deepEqual(judged(log, [3, 1, 3, 2, 3]), good(2));
  assert.deepEqual(judged(log, [2, 1, 3]), good(), 'a newer state in its place');
  assert.deepEqual(judged(log, [3, 1, 4]), good(), 'one written since');
});

test('and is disorder where it does not', () => {
  const log = [state(1), state(2), state(3), state(4, '2')];
  const bad = (newest, ...late) => ({ lost: [newest], disorder: late.map((id) => `${newest} before ${id}`) });
  const verdict = (ids) => { const { lost, disorder } = judged(log, [4, ...ids]); return { lost, disorder }; };
  assert.deepEqual(verdict([3, 1]), bad('3', 1));
  assert.deepEqual(verdict([3, 3, 1]), bad('3', 1), 'it came again before');
  assert.deepEqual(verdict([3, 1, 2]), bad('3', 1, 2), 'an older one came after it');
  assert.deepEqual(verdict([3, 1, 3, 2]), bad('3', 2), 'one more came after it');
  assert.deepEqual(verdict([3, 1, 4]), bad('3', 1), 'that of another conversation came');
});

test('where the newest is no state, nothing but itself will do', () => {
  const log = [state(1), step(2), state(3)];
  assert.deepEqual(judged(log, [2, 1, 2, 3]), good(1));
  assert.deepEqual(judged(log, [2, 1, 3]), { lost: ['2'], disorder: ['2 before 1'], duplicates: 0 });
});
