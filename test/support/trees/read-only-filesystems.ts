/** Small filesystems that common machines can read but not create, as their tools have made them. */
import { gunzipSync } from 'node:zlib';

/** Both have the file `etc/config`, and the length that their tools pad them to. */
const MADE = {
  // mksquashfs 4.5.1
  squashfs:
    'H4sIAAAAAAACA8soLixmZoABJgZGIMnIIMhwgImRgQXIdoDKfIfS76H0fyhIg/InQemTUPohlM5IzcnJ59JiqLiVnBRx6AQDqw/PigbeDknJe4ee' +
    'Sk68cpLJ0HiWjbGQLmuLjoMUw1xzpvfKILUJDQxqFmdPTZgzf/q0mXyiCQksSawGZ49MiJrEw+A2hfmBQEMC1AI2BrCbGbZD+XxA7cEJDqx8AVIM' +
    'rBIMiReh4iwNIPIlwygYBaNgFIyCUTAKRsEoGAWjYBSMglEwAgEA4ffAfwAQAAA=',
  // mkfs.erofs 1.5
  erofs:
    'H4sIAAAAAAACA2NgGAWjYBSMVPDo4dcHE3XEuZmBbB4GFQZmLGoYkdhPWfaolL9zbVlp3VYoVpjNSan9LED81pGZQQvK/w8EyPIqcJoJzlYFstWh' +
    'bHUgW09PL7UkGZ/5TAy6SOYj+0cdh/lacHlGkPnJ+Xlpmek4zF/SyMjAhmQ+E5J8RmpOTj7XaDobBaNgFIyCUTAKRsEoGAWDAwAAGYHODAAQAAA=',
} as const;

export type ReadOnlyFilesystem = keyof typeof MADE;

export const readOnlyFilesystem = (type: ReadOnlyFilesystem): Buffer => gunzipSync(Buffer.from(MADE[type], 'base64'));
