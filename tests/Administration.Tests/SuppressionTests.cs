using System.Text;
using MailPipeline.Mail;

namespace MailPipeline.Administration.Tests;

/// <summary>Suppression lists, as an operator keeps them (<see cref="Suppressions"/>).</summary>
public sealed class SuppressionTests : IAsyncLifetime
{
    private const string Lists = "lists@example.org";

    private AdministrationFixture _operator = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Suppressions Suppressions => _operator.Get<Suppressions>();

    private DateTimeOffset Now => _operator.Time.GetUtcNow();

    public async ValueTask InitializeAsync()
    {
        _operator = await AdministrationFixture.OpenAsync();
        await _operator.Domains.AddAsync("example.org", AdministrationFixture.By, Cancellation);
        await _operator.Accounts.AddAsync(Lists, "a long password", AdministrationFixture.By, Cancellation);
    }

    public ValueTask DisposeAsync() => _operator.DisposeAsync();

    [Fact]
    public async Task A_list_is_of_an_account_that_is_there_or_of_a_domain()
    {
        Assert.Equal(new SuppressionBegun(new(Lists, null, Now, "ann")), await BeginAsync("Lists@EXAMPLE.org", null));
        Assert.Equal(new SuppressionBegun(new("xn--bcher-kva.example", TimeSpan.FromDays(1), Now, "ann")), await BeginAsync("Bücher.example.", TimeSpan.FromDays(1)));
        Assert.Equal(new NoSuchSender("nobody@example.org"), await BeginAsync("nobody@example.org", null));
        Assert.Equal(new NotASender("not a domain"), await BeginAsync("not a domain", null));
        Assert.Equal([Lists, "xn--bcher-kva.example"], (await Suppressions.ListSendersAsync(Cancellation)).Select(one => one.Sender));
        Assert.Equal(new SuppressionEnded(Lists), await Suppressions.EndAsync(Lists, AdministrationFixture.By));
        Assert.Equal(new NoSuppressionList(Lists), await Suppressions.EndAsync(Lists, AdministrationFixture.By));
        Assert.Equal(new NoSuppressionList(Lists), await Suppressions.AddAsync(Lists, "a@example.net", null, "", AdministrationFixture.By, Cancellation));
        Assert.Null(await Suppressions.ListAsync(Lists, "", 10, Cancellation));
        Assert.Null(await Suppressions.ExportAsync(Lists, Cancellation));
    }

    [Fact]
    public async Task Lists_are_bounded_in_number()
    {
        for (var i = 0; i < SuppressionStore.MostSenders; i++)
            Assert.IsType<SuppressionBegun>(await BeginAsync($"d{i}.example", null));
        Assert.Equal(new TooManySuppressionLists(SuppressionStore.MostSenders), await BeginAsync(Lists, null));
        Assert.IsType<SuppressionBegun>(await BeginAsync("d7.example", TimeSpan.FromDays(1)));
    }

    [Fact]
    public async Task A_recipient_is_added_found_and_removed()
    {
        await BeginAsync(Lists, TimeSpan.FromDays(180));
        await BeginAsync("example.com", null);
        var added = Assert.IsType<RecipientSuppressed>(await AddAsync(Lists, "Bob@Example.NET", null, "he asked\nfor it"));
        Assert.Equal(new Suppression(Lists, "bob@example.net", SuppressionCause.Operator, "he asked?for it", Now, Now.AddDays(180)), added.Suppression);
        Assert.Null(Assert.IsType<RecipientSuppressed>(await AddAsync(Lists, "carl@example.net", new KeepTime(null), "")).Suppression.Until);
        Assert.Equal(new NotARecipient("nobody"), await AddAsync(Lists, "nobody", null, ""));
        await AddAsync("example.com", "bob@example.net", null, "");
        Assert.Equal([Lists, "example.com"], (await Suppressions.FindRecipientAsync("BOB@example.net", Cancellation)).Suppressions.Select(one => one.Sender).Order(StringComparer.Ordinal).Reverse());
        var page = (await Suppressions.ListAsync(Lists, "", 1, Cancellation))!;
        Assert.Equal("bob@example.net", Assert.Single(page.Suppressions).Address);
        Assert.True(page.HasMore);
        Assert.Equal("carl@example.net", Assert.Single((await Suppressions.ListAsync(Lists, "bob@example.net", 1, Cancellation))!.Suppressions).Address);
        Assert.Equal(new RecipientUnsuppressed(added.Suppression), await Suppressions.RemoveAsync(Lists, "bob@EXAMPLE.net", AdministrationFixture.By));
        Assert.Equal(new NotSuppressed(Lists, "bob@example.net"), await Suppressions.RemoveAsync(Lists, "bob@example.net", AdministrationFixture.By));
    }

    [Fact]
    public async Task What_is_exported_is_what_an_import_reads()
    {
        await BeginAsync(Lists, TimeSpan.FromDays(180));
        await AddAsync(Lists, "bob@example.net", null, "said \"no\", twice");
        await AddAsync(Lists, "\"a,b\"@example.net", new KeepTime(null), "");
        await AddAsync(Lists, "büro@bücher.example", null, "grüße");
        foreach (var format in Enum.GetValues<SuppressionFormat>())
        {
            var before = (await Suppressions.ListAsync(Lists, "", 10, Cancellation))!.Suppressions;
            var text = new StringBuilder(format == SuppressionFormat.Csv ? SuppressionFile.Header + "\r\n" : "");
            await foreach (var one in (await Suppressions.ExportAsync(Lists, Cancellation))!)
                text.Append(SuppressionFile.Line(one, format)).Append("\r\n");
            foreach (var one in before)
                await Suppressions.RemoveAsync(Lists, one.Address, AdministrationFixture.By);
            Assert.Equal((3, 0L), Added(await ImportAsync(text.ToString())));
            Assert.Equal(before, (await Suppressions.ListAsync(Lists, "", 10, Cancellation))!.Suppressions);
        }
    }

    [Fact]
    public async Task Files_of_others_are_read_by_their_header_or_without_one()
    {
        await BeginAsync(Lists, TimeSpan.FromDays(10));
        Assert.Equal((2, 0L), Added(await ImportAsync("\uFEFFemail,created,status,reason\n a@example.net ,1893456000,5.1.1,no such user\nb@example.net\n")));
        Assert.Equal((2, 0L), Added(await ImportAsync("c@example.net\r\n\r\nd@example.net,gone")));
        var found = (await Suppressions.ListAsync(Lists, "", 10, Cancellation))!.Suppressions;
        Assert.Equal(
            [("a@example.net", "no such user", DateTimeOffset.FromUnixTimeSeconds(1893456000)), ("b@example.net", "", Now), ("c@example.net", "", Now), ("d@example.net", "gone", Now)],
            found.Select(one => (one.Address, one.Reason, one.Since)));
        Assert.All(found, one => Assert.Equal(Now.AddDays(10), one.Until));
        // What is over already is passed over.
        var over = Assert.IsType<SuppressionsImported>(await ImportAsync("address,until\ne@example.net,2029-01-01\nf@example.net,never"));
        Assert.Equal((1, 1L, 0L), (over.Added, over.Over, over.Bad));
    }

    [Fact]
    public async Task Each_bad_line_is_told_and_keeps_nobody_else_off()
    {
        await BeginAsync(Lists, TimeSpan.FromDays(10));
        string[] lines =
        [
            "address,cause,since,until", "good@example.net", "no address", "a@b@c@example.net", "<script>", "x@example.net,because", "x@example.net,1",
            "x@example.net,reply,2031-01-01", "x@example.net,reply,soon", "x@example.net,reply,,99999999999999999999", "\"x@example.net", "\"x@example.net\"y,reply",
            "{\"address\":\"x@example.net\"", "{\"address\":[\"x@example.net\"]}", "{\"address\":\"\\ud800@example.net\"}", "{\"reason\":\"x\"}", "x\0y@example.net", "x\uFFFD@example.net",
            new string('a', BoundedLines.MostCharacters + 1), "{" + new string('[', 4000), "@example.net", "x@[192.0.2.1]", ",,,", "last@example.net",
        ];
        var imported = Assert.IsType<SuppressionsImported>(await ImportAsync(string.Join('\n', lines)));
        Assert.Equal((2, 21L, ActStatus.NotDone), (imported.Added, imported.Bad, imported.Status));
        Assert.Equal(Enumerable.Range(3, 21).Select(number => (long)number), imported.BadLines.Select(line => line.Number));
        Assert.Equal(new BadLine(3, BadLineFault.NotAnAddress, "no address"), imported.BadLines[0]);
        Assert.Equal(
            [
                .. Enumerable.Repeat(BadLineFault.NotAnAddress, 3), BadLineFault.NotACause, BadLineFault.NotACause, BadLineFault.NotATimeThatHasPassed, BadLineFault.NotATimeThatHasPassed,
                BadLineFault.NotATime, BadLineFault.NotCsv, BadLineFault.NotCsv, BadLineFault.NotJson, BadLineFault.NotJson, BadLineFault.NotJson, BadLineFault.NotAnAddress, BadLineFault.NotAnAddress,
                BadLineFault.NotUtf8, BadLineFault.TooLong, BadLineFault.NotJson, BadLineFault.NotAnAddress, BadLineFault.NotAnAddress, BadLineFault.NotAnAddress,
            ],
            imported.BadLines.Select(line => line.Fault));
        Assert.Equal(["good@example.net", "last@example.net"], (await Suppressions.ListAsync(Lists, "", 10, Cancellation))!.Suppressions.Select(one => one.Address));
    }

    [Fact]
    public async Task A_hundred_thousand_lines_are_never_in_memory_at_once()
    {
        await BeginAsync(Lists, TimeSpan.FromDays(10));
        using var lines = new EndlessLines(100_000, 3_000_000);
        var imported = Assert.IsType<SuppressionsImported>(await Suppressions.ImportAsync(Lists, lines, "x", null, AdministrationFixture.By, Cancellation));
        // One of a hundred is bad, and the last one has three million characters.
        Assert.Equal((99_000, 1_001L, SuppressionFile.MostBadLines), (imported.Added, imported.Bad, imported.BadLines.Count));
        Assert.InRange(lines.MostKept, 0, 32 * 1024 * 1024);
        Assert.Equal(99_000, (await _operator.Get<AuditLog>().ListAsync(default, 1, Cancellation))[0].Recipients);
    }

    private static (int Added, long Bad) Added(SuppressionResult result) => result is SuppressionsImported imported ? (imported.Added, imported.Bad) : default;

    private Task<SuppressionResult> BeginAsync(string sender, TimeSpan? keepFor) => Suppressions.BeginAsync(sender, keepFor, AdministrationFixture.By, Cancellation);

    private Task<SuppressionResult> AddAsync(string sender, string address, KeepTime? keep, string reason) =>
        Suppressions.AddAsync(sender, address, keep, reason, AdministrationFixture.By, Cancellation);

    private Task<SuppressionResult> ImportAsync(string text) =>
        Suppressions.ImportAsync(Lists, new StringReader(text), "list.csv", null, AdministrationFixture.By, Cancellation);

    /// <summary>Lines that are made as they are read, and how much memory was kept meanwhile beyond what there was at first.</summary>
    private sealed class EndlessLines(int lines, int lastLine) : TextReader
    {
        private readonly long _before = GC.GetTotalMemory(forceFullCollection: true);
        private string _line = "";
        private int _at;
        private int _made;

        public long MostKept { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<char> buffer, CancellationToken cancellationToken = default)
        {
            if (_at == _line.Length && !MakeLine())
                return ValueTask.FromResult(0);
            var length = Math.Min(buffer.Length, _line.Length - _at);
            _line.AsSpan(_at, length).CopyTo(buffer.Span);
            _at += length;
            return ValueTask.FromResult(length);
        }

        private bool MakeLine()
        {
            if (_made > lines)
                return false;
            if (_made % 10_000 == 5_000)
                MostKept = Math.Max(MostKept, GC.GetTotalMemory(forceFullCollection: true) - _before);
            _line = _made == lines ? new string('a', lastLine) + "\n" : _made % 100 == 0 ? $"bad line {_made}\n" : $"user{_made}@example.net,said no in file {_made}\n";
            (_made, _at) = (_made + 1, 0);
            return true;
        }
    }
}
