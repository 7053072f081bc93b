// Draws the charts of a run report. Everything it knows is in the element #data (ReportData.java); names are only ever
// handed to ECharts as series names or to textContent, both of which escape them.
(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('data').textContent);
  const root = document.documentElement;
  const charts = [];
  const hidden = new Set();
  const many = data.runs.length > 1;

  // Twelve that are told apart side by side on light and dark; past them the golden angle, which never repeats.
  const DOMAIN_COLORS = ['#4269d0', '#efb118', '#ff725c', '#6cc5b0', '#3ca951', '#ff8ab7', '#a463f2', '#97bbf5', '#9c6b4e', '#9498a0', '#00838f', '#c2456d'];
  const RUN_COLORS = ['#4269d0', '#e8590c', '#2b9348', '#a463f2', '#c2456d', '#00838f', '#9c6b4e', '#efb118'];
  const domainColor = k => k < DOMAIN_COLORS.length ? DOMAIN_COLORS[k]
    : `hsl(${Math.round(k * 137.5) % 360}, ${k % 2 ? 45 : 62}%, ${[52, 62, 44][k % 3]}%)`;
  const runColor = r => RUN_COLORS[r % RUN_COLORS.length];
  const css = name => getComputedStyle(root).getPropertyValue(name).trim();

  const percent = (v, digits) => v == null ? '' : (100 * v).toFixed(digits ?? (v < 0.0995 ? 2 : 1)) + ' %';
  const plain = v => v == null ? '' : Number(v.toPrecision(4)).toString();
  const count = v => v >= 1e9 ? plain(v / 1e9) + 'G' : v >= 1e6 ? plain(v / 1e6) + 'M' : v >= 1e3 ? plain(v / 1e3) + 'k' : plain(v);
  const signed = v => v === 0 ? '0' : (v < 0 ? '−' : '+') + plain(Math.abs(v));
  const pairs = (xs, ys) => xs.map((x, i) => [x, ys[i]]);

  function axis(extra) {
    return Object.assign({
      axisLine: {lineStyle: {color: css('--line')}}, axisTick: {show: false},
      axisLabel: {color: css('--soft'), fontSize: 11, hideOverlap: true}, splitLine: {lineStyle: {color: css('--grid')}},
      nameTextStyle: {color: css('--soft'), fontSize: 11},
      axisPointer: {label: {precision: 0}},
    }, extra);
  }
  const steps = Math.max(...data.runs.map(r => r.steps), 2);
  // 1, 2 or 5 times a power of ten: about five of them make the whole.
  function tick(whole) {
    const power = Math.pow(10, Math.floor(Math.log10(whole / 4)));
    return Math.max(1, [1, 2, 5].map(f => f * power).filter(t => t <= whole / 4).pop());
  }
  function stepAxis() {
    return axis({type: 'value', min: 0, max: steps, splitLine: {show: false}, axisLabel: {color: css('--soft'), fontSize: 11, hideOverlap: true, showMaxLabel: steps % tick(steps) === 0, formatter: count}});
  }
  // A loss falls as fast from step 1 to 10 as from 100 to 1000: on a logarithmic axis both can be seen.
  function logStepAxis() {
    return axis({type: 'log', min: 1, max: steps, splitLine: {show: false}, axisLabel: {color: css('--soft'), fontSize: 11, hideOverlap: true, showMaxLabel: Math.log10(steps) % 1 === 0, formatter: count}});
  }
  const fromOne = (xs, ys) => xs.map((x, i) => [Math.max(1, x), ys[i]]);
  function base(format) {
    return {
      animation: false,
      textStyle: {fontFamily: getComputedStyle(document.body).fontFamily},
      grid: {left: 8, right: 16, top: 16, bottom: 6, containLabel: true},
      tooltip: {
        trigger: 'axis', confine: true, order: 'valueDesc', valueFormatter: format, transitionDuration: 0,
        backgroundColor: css('--card'), borderColor: css('--line'), padding: [8, 12],
        textStyle: {color: css('--ink'), fontSize: 12}, axisPointer: {lineStyle: {color: css('--soft')}},
      },
    };
  }
  const line = (name, color, points, extra) => Object.assign({
    name, type: 'line', data: points, showSymbol: false, color, lineStyle: {width: 1.6, color}, connectNulls: true,
    emphasis: {focus: 'none', lineStyle: {width: 2.4}},
  }, extra);

  const draw = {
    mixture({run}) {
      const r = data.runs[run];
      // ECharts stacks on category axes alone; categories past a shorter run's end keep runs on one scale.
      const categories = r.step.slice(), width = r.step.length > 1 ? r.step[1] - r.step[0] : steps;
      while (categories[categories.length - 1] + width < steps) categories.push(categories[categories.length - 1] + width);
      const every = tick(steps);
      return {...base(v => percent(v)),
        xAxis: axis({type: 'category', boundaryGap: false, data: categories.map(Math.round), splitLine: {show: false},
          axisLabel: {color: css('--soft'), fontSize: 11, hideOverlap: true, formatter: v => count(Math.round(v / every) * every),
            interval: (i, v) => i === 0 || Math.floor(v / every) > Math.floor(categories[i - 1] / every)}}),
        yAxis: axis({type: 'value', min: 0, max: 1, axisLabel: {color: css('--soft'), fontSize: 11, formatter: v => Math.round(100 * v) + ' %'}}),
        series: data.domains.map((d, k) => ({name: d, k})).filter(s => r.mixture[s.name] && !hidden.has(s.k)).map(({name, k}) =>
          line(name, domainColor(k), r.mixture[name], {stack: 'mixture', connectNulls: false, lineStyle: {width: 0.6, color: css('--card')},
            areaStyle: {color: domainColor(k), opacity: 0.9}, emphasis: {focus: 'series'}})),
      };
    },
    change({run}) {
      const r = data.runs[run];
      const series = data.domains.map((d, k) => ({name: d, k})).filter(s => (r.mixture[s.name] || [])[0] > 0 && !hidden.has(s.k)).map(({name, k}) =>
        line(name, domainColor(k), pairs(r.step, r.mixture[name].map(v => v / r.mixture[name][0])), {emphasis: {focus: 'series'}}));
      if (series.length) series[0].markLine = {silent: true, symbol: 'none', label: {show: false}, lineStyle: {color: css('--soft'), type: 'dashed', width: 1}, data: [{yAxis: 1}]};
      return {...base(v => v == null ? '' : '× ' + v.toFixed(3)),
        xAxis: stepAxis(),
        yAxis: axis({type: 'value', scale: true, min: e => e.min > 0.9 ? 0.9 : null, max: e => e.max < 1.1 ? 1.1 : null, axisLabel: {color: css('--soft'), fontSize: 11, formatter: v => '×' + Number(v.toFixed(2))}}),
        series,
      };
    },
    means() {
      const series = [];
      data.runs.forEach((r, i) => {
        const unweighted = many ? r.name : 'mean over domains', weighted = many ? r.name + ', by tokens' : 'mean over tokens';
        series.push(line(unweighted, runColor(i), fromOne(r.validation.step, r.validation.unweightedMeanNats), {showSymbol: true, symbol: 'circle', symbolSize: 6}));
        series.push(line(weighted, runColor(i), fromOne(r.validation.step, r.validation.tokenMeanNats), {lineStyle: {width: 1.4, color: runColor(i), type: 'dashed'}, showSymbol: true, symbol: 'emptyCircle', symbolSize: 5}));
      });
      return {...base(v => plain(v)), grid: {left: 8, right: 16, top: 36, bottom: 6, containLabel: true},
        legend: {top: 2, left: 6, icon: 'roundRect', itemWidth: 18, itemHeight: 3, textStyle: {color: css('--soft'), fontSize: 12}, type: 'scroll'},
        xAxis: logStepAxis(), yAxis: axis({type: 'value', scale: true}), series};
    },
    loss({domain}) {
      const name = data.domains[domain], series = [];
      data.runs.forEach((r, i) => {
        const color = many ? runColor(i) : domainColor(domain);
        if (r.train[name]) series.push(line(many ? r.name + ', training' : 'training', color, fromOne(r.step.map(x => x + 1), r.train[name]), {lineStyle: {width: 1.4, color, opacity: 0.75}}));
        if (r.validation.lossNats[name]) series.push({name: many ? r.name + ', validation' : 'validation', type: 'scatter', color, symbolSize: 7,
          itemStyle: {color: css('--card'), borderColor: color, borderWidth: 2}, data: fromOne(r.validation.step, r.validation.lossNats[name]), z: 3});
      });
      return {...base(v => plain(v)), xAxis: logStepAxis(), yAxis: axis({type: 'value', scale: true, splitNumber: 3}), series};
    },
    fit({domain}) {
      const name = data.domains[domain], series = [];
      let low = Infinity, high = 0;
      data.runs.forEach((r, i) => {
        const fit = r.fits.find(f => f.domain === name);
        if (!fit || !fit.n.length) return;
        const color = many ? runColor(i) : domainColor(domain);
        const from = Math.min(...fit.n), to = Math.max(...fit.n);
        low = Math.min(low, from); high = Math.max(high, 2 * to);
        series.push({name: many ? r.name + ', seen' : 'seen', type: 'scatter', color, symbolSize: 5, itemStyle: {color, opacity: 0.55}, data: pairs(fit.n, fit.lossNats)});
        if (fit.epsilon == null || fit.beta == null || fit.alpha == null) return;
        // Past the last point the law is a forecast, drawn to twice the sequences seen.
        const law = Array.from({length: 61}, (_, j) => from * Math.pow(2 * to / from, j / 60)).map(n => [n, fit.epsilon + fit.beta * Math.pow(n, -fit.alpha)]);
        series.push(line(many ? r.name + ', law' : 'law', color, law, {lineStyle: {width: 2, color, type: fit.ready ? 'solid' : 'dashed', opacity: fit.ready ? 1 : 0.5}, z: 3}));
      });
      return {...base(v => plain(v)),
        xAxis: axis({type: 'log', min: low === Infinity ? 1 : low, max: high || 10, splitLine: {show: false}, axisLabel: {color: css('--soft'), fontSize: 11, hideOverlap: true, showMinLabel: false, showMaxLabel: false, formatter: count}, axisPointer: {label: {formatter: p => count(p.value) + ' sequences'}}}),
        yAxis: axis({type: 'value', scale: true, splitNumber: 3}), series};
    },
    phases({run}) {
      const r = data.runs[run];
      const ms = values => values.map(v => v == null || v <= 0 ? null : 1000 * v);
      const phases = [['step', r.stepSeconds, '#4269d0'], ['data', r.dataSeconds, '#efb118'], ['mixture', r.mixtureSeconds, '#ff725c']];
      return {...base(v => v == null ? '' : plain(v) + ' ms'), grid: {left: 8, right: 16, top: 36, bottom: 6, containLabel: true},
        legend: {top: 2, left: 6, icon: 'roundRect', itemWidth: 18, itemHeight: 3, textStyle: {color: css('--soft'), fontSize: 12}},
        xAxis: stepAxis(),
        yAxis: axis({type: 'log', axisLabel: {color: css('--soft'), fontSize: 11, formatter: v => plain(v) + ' ms'}}),
        series: phases.map(([name, values, color]) => line(name, color, pairs(r.step, ms(values)))),
      };
    },
    // Of a comparison (CompareReport.java): a row a policy, its seeds as dots, the interval of their mean as a bar.
    gap({run}) {
      const rows = data.gaps[run].policies.slice().reverse(), series = [];
      rows.forEach((row, i) => {
        const color = runColor(row.run), name = data.runs[row.run].name;
        if (row.halfWidth != null) series.push({name, type: 'line', data: [[row.mean - row.halfWidth, i], [row.mean + row.halfWidth, i]], showSymbol: false, silent: true,
          lineStyle: {width: 5, color, opacity: 0.35, cap: 'round'}});
        series.push({name: name + ', seed', type: 'scatter', data: row.seeds.map(v => [v, i]), symbolSize: 5, itemStyle: {color, opacity: 0.7}});
        series.push({name, type: 'scatter', data: [[row.mean, i]], symbolSize: 11, itemStyle: {color, borderColor: css('--card'), borderWidth: 1.5}, z: 4});
      });
      series.push({type: 'line', data: [], silent: true, markLine: {silent: true, symbol: 'none', label: {show: false}, lineStyle: {color: css('--soft'), type: 'dashed', width: 1}, data: [{xAxis: 0}]}});
      const reach = rows.flatMap(row => [row.mean - (row.halfWidth || 0), row.mean + (row.halfWidth || 0), ...row.seeds]).concat(0);
      const room = 0.06 * (Math.max(...reach) - Math.min(...reach)) || 0.001;
      const shown = base(v => Array.isArray(v) ? signed(v[0]) : '');
      return {...shown, tooltip: {...shown.tooltip, trigger: 'item'}, grid: {left: 20, right: 16, top: 10, bottom: 6, containLabel: true},
        xAxis: axis({type: 'value', min: Math.min(...reach) - room, max: Math.max(...reach) + room,
          axisLabel: {color: css('--soft'), fontSize: 11, hideOverlap: true, showMinLabel: false, showMaxLabel: false, formatter: signed}}),
        yAxis: axis({type: 'category', data: rows.map(row => data.runs[row.run].name), splitLine: {show: false}, axisLabel: {color: css('--ink'), fontSize: 12}}),
        series};
    },
    ahead({run}) {
      const r = data.runs[run], color = runColor(run);
      // The first points are noise on a steep fall, and would set the scale for the rest: they run out of the chart.
      const late = data.runs.flatMap(o => [...o.ahead.seeds, o.ahead.mean].flatMap(vs => vs.filter((v, i) => o.ahead.step[i] >= steps / 10))).concat(0);
      const series = r.ahead.seeds.map((vs, i) => line('seed ' + (i + 1), color, pairs(r.ahead.step, vs), {lineStyle: {width: 1, color, opacity: 0.45}}));
      series.push(line('mean', color, pairs(r.ahead.step, r.ahead.mean), {lineStyle: {width: 2.6, color},
        markLine: {silent: true, symbol: 'none', label: {show: false}, lineStyle: {color: css('--soft'), type: 'dashed', width: 1}, data: [{yAxis: 0}]}}));
      return {...base(v => v == null ? '' : signed(v)), xAxis: stepAxis(),
        yAxis: axis({type: 'value', min: Math.min(...late), max: Math.max(...late), axisLabel: {color: css('--soft'), fontSize: 11, showMinLabel: false, showMaxLabel: false, formatter: signed}}), series};
    },
    path({domain}) {
      const name = data.domains[domain];
      return {...base(v => percent(v)), xAxis: stepAxis(),
        yAxis: axis({type: 'value', min: 0, splitNumber: 3, axisLabel: {color: css('--soft'), fontSize: 11, formatter: v => plain(100 * v) + ' %'}}),
        series: data.runs.map((r, i) => line(r.name, runColor(i), pairs(r.step, r.mixture[name])))};
    },
    rate() { return overRuns('learningRate', 'learning rate', {min: 0}); },
    norm() { return overRuns('gradNorm', 'gradient norm', {scale: true}); },
  };
  function overRuns(field, label, extra) {
    return {...base(v => plain(v)), xAxis: stepAxis(),
      yAxis: axis({type: 'value', axisLabel: {color: css('--soft'), fontSize: 11, formatter: v => v !== 0 && Math.abs(v) < 0.001 ? v.toExponential(0) : plain(v)}, ...extra}),
      series: data.runs.map((r, i) => line(many ? r.name : label, runColor(i), pairs(r.step, r[field])))};
  }

  function drawAll() {
    charts.forEach(c => c.chart.setOption(draw[c.kind](c), true));
  }
  document.querySelectorAll('.chart').forEach(element => {
    const chart = echarts.init(element, null, {renderer: 'canvas'});
    charts.push({chart, kind: element.dataset.chart, run: Number(element.dataset.run), domain: Number(element.dataset.domain)});
  });
  document.querySelectorAll('[data-swatch]').forEach(e => { e.style.background = domainColor(Number(e.dataset.swatch)); });
  document.querySelectorAll('[data-run-swatch]').forEach(e => { e.style.background = runColor(Number(e.dataset.runSwatch)); });
  document.querySelectorAll('.legend button[data-domain]').forEach(button => {
    const k = Number(button.dataset.domain);
    button.addEventListener('click', () => {
      if (!hidden.delete(k)) hidden.add(k);
      button.setAttribute('aria-pressed', String(!hidden.has(k)));
      drawAll();
    });
    const point = type => () => charts.filter(c => c.kind === 'mixture' || c.kind === 'change')
      .forEach(c => c.chart.dispatchAction({type, seriesName: data.domains[k]}));
    button.addEventListener('mouseenter', point('highlight'));
    button.addEventListener('mouseleave', point('downplay'));
  });

  const system = matchMedia('(prefers-color-scheme: dark)');
  function theme(name) {
    root.dataset.theme = name;
    document.getElementById('theme').textContent = name === 'dark' ? 'Light' : 'Dark';
    drawAll();
  }
  document.getElementById('theme').addEventListener('click', () => theme(root.dataset.theme === 'dark' ? 'light' : 'dark'));
  system.addEventListener('change', () => theme(system.matches ? 'dark' : 'light'));
  new ResizeObserver(() => charts.forEach(c => c.chart.resize())).observe(document.body);
  theme(system.matches ? 'dark' : 'light');
  root.dataset.drawn = String(charts.length); // a test waits for this
})();
