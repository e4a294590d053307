// Lists that are loaded a page at a time and stay arrays in the cache, so that events change them like any list. What is loaded
// again is loaded as far as it was.
import { useCallback, useState } from 'react';
import { type QueryKey, skipToken, useQuery, useQueryClient } from '@tanstack/react-query';

export interface Page<T> {
  data: T[];
  pagination: { hasMore: boolean; cursor: string | null };
}

/** merge: puts rows into a list, each once and in its order. fetchPage must stay the same function while the key does. */
export function usePages<T>(queryKey: QueryKey, fetchPage: (cursor?: string) => Promise<Page<T>>, merge: (list: T[], rows: T[]) => T[]) {
  const client = useQueryClient();
  const moreKey = ['more', ...queryKey];
  const [loading, setLoading] = useState(false);
  const remember = ({ hasMore, cursor }: Page<T>['pagination']) => client.setQueryData<string | null>(moreKey, hasMore ? cursor : null);

  const list = useQuery({
    queryKey,
    queryFn: async () => {
      const before = client.getQueryData<T[]>(queryKey)?.length ?? 0;
      let page = await fetchPage();
      let rows = merge([], page.data);
      while (rows.length < before && page.pagination.hasMore) {
        page = await fetchPage(page.pagination.cursor!);
        rows = merge(rows, page.data);
      }
      remember(page.pagination);
      return rows;
    },
  });
  const { data: cursor } = useQuery<string | null>({ queryKey: moreKey, queryFn: skipToken, gcTime: Infinity });

  const loadMore = useCallback(async () => {
    if (!cursor) return;
    setLoading(true);
    try {
      const page = await fetchPage(cursor);
      client.setQueryData<T[]>(queryKey, (rows) => merge(rows ?? [], page.data));
      remember(page.pagination);
    } finally {
      setLoading(false);
    }
  }, [cursor, fetchPage]);

  return { ...list, loadMore: cursor ? loadMore : undefined, loadingMore: loading };
}
