import type { BundleItem, ImportReport, Inventory } from '@modmesh/store'
import type { ImportComponents } from './import-answer.ts'

type Holdings = Pick<ImportComponents, 'store' | 'database'>
type TreeItem = Extract<BundleItem, { readonly kind: 'head' | 'tile' | 'leaf' }>

/** Counts what an import would add, from the inventory alone. */
export async function planImport(
  holdings: Holdings,
  { items, tree }: Inventory,
  report: ImportReport,
): Promise<void> {
  for (const item of items) {
    const isHere = isOfTree(item)
      ? await isTreeItemHere(holdings, item, tree?.size ?? 0)
      : await isPartHere(holdings, item)
    report.count(item, isHere ? 'present' : 'added')
  }
}

/** How much of earlier bundles is not here. Tiles are left to the tree's own check. */
export async function countMissing(
  holdings: Holdings,
  before: readonly BundleItem[],
): Promise<number> {
  let missing = 0
  for (const item of before) {
    if (!isOfTree(item) && !(await isPartHere(holdings, item))) missing++
  }
  return missing
}

function isOfTree(item: BundleItem): item is TreeItem {
  return item.kind === 'head' || item.kind === 'tile' || item.kind === 'leaf'
}

async function isPartHere(
  { store, database }: Holdings,
  item: Exclude<BundleItem, TreeItem>,
): Promise<boolean> {
  switch (item.kind) {
    case 'zip':
      return (await store.findZip(item.module)) !== undefined
    case 'record':
      // Without a database in use none is kept.
      return database === undefined || (await database.client.known(item.module)) !== undefined
    default:
      return (await store.findRecord(item.module))?.[item.kind] !== undefined
  }
}

async function isTreeItemHere(
  { database }: Holdings,
  item: TreeItem,
  treeSize: number,
): Promise<boolean> {
  if (database === undefined) return true
  const { client } = database
  if (item.kind !== 'head') return (await client.cachedTile(item.path)) !== undefined
  return ((await client.head())?.size ?? 0) >= treeSize
}
