const cards = [...document.querySelectorAll('#choice li')];
const columns = () => cards.filter(card => card.offsetTop === cards[0].offsetTop).length;
document.getElementById('choice').addEventListener('keydown', event => {
  const now = cards.indexOf(document.activeElement);
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns(), ArrowUp: -columns(), Home: -now, End: cards.length - 1 - now };
  if (now < 0 || !(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  const next = cards[Math.min(cards.length - 1, Math.max(0, now + steps[event.key]))];
  cards[now].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
});
