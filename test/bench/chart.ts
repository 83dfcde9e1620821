/** The chart of packaging/doc/performance.md: rates as a part of HAProxy's, the least that any proxy pays. */
import { init } from 'echarts';
import { label, type Result } from './report.ts';

/** Bars that say something side by side; the table has the rest. */
const SHOWN = [
  'publish-16',
  'publish-1k',
  'publish-64k',
  'consume-1k',
  'confirm',
  'cycle-8',
  'cycle-32',
  'rabbit-cycle-8',
];
const TITLE = 'Rate as a part of HAProxy’s (TCP mode), same run, same machine';
const COLOURS: Record<string, string> = {
  haproxy: '#9aa0a6',
  amqproxy: '#d9541e',
  'amqproxy-instant': '#f0a07c',
  peer: '#4c78a8',
  direct: '#d8dadd',
};

/** An SVG document. */
export function chart(results: Result[], peerName: string): string {
  const scenarios = SHOWN.filter(name => results.some(({ scenario }) => scenario === name));
  const contenders = ['haproxy', 'peer', 'amqproxy', 'direct'].filter(name =>
    results.some(({ contender }) => contender === name),
  );
  const find = (scenario: string, contender: string): Result | undefined =>
    results.find(result => result.scenario === scenario && result.contender === contender);
  const view = init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: 860,
    height: 94 + scenarios.length * (contenders.length * 15 + 18),
  });
  view.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    color: contenders.map(name => COLOURS[name]),
    title: {
      text: TITLE,
      textStyle: { fontSize: 14 },
    },
    legend: { top: 30, itemGap: 40, data: contenders.map(name => label(name, peerName)) },
    // the renderer has no fonts to measure labels with: room for the longest is given
    grid: { left: 270, right: 60, top: 64, bottom: 30 },
    xAxis: { type: 'value', axisLabel: { formatter: '{value}×' } },
    yAxis: {
      type: 'category',
      inverse: true,
      data: scenarios.map(name => results.find(({ scenario }) => scenario === name)!.title),
    },
    series: contenders.map(name => ({
      name: label(name, peerName),
      type: 'bar' as const,
      label: { show: true, position: 'right' as const, formatter: '{c}×', fontSize: 10 },
      data: scenarios.map(scenario => {
        const result = find(scenario, name);
        if (result === undefined) return null;
        return Number((result.ratio?.median ?? 1).toPrecision(2));
      }),
    })),
  });
  const svg = view.renderToSVGString();
  view.dispose();
  // a picture with a name, and without styles for a mouse
  return svg.replace(/<svg [^>]*>/, `$&\n<title>${TITLE}</title>`).replace(/<style.*<\/style>\s*/s, '');
}
