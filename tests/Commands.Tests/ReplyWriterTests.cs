using MailPipeline.Administration;

namespace MailPipeline.Commands.Tests;

/// <summary>How replies look on a screen, in a pipe and as JSON, whatever strangers wrote into them.</summary>
public sealed class ReplyWriterTests
{
    private const string Hostile = "450 [red]not now[/] \u001b[31m\u202Etxt.exe\u0007 [[x]] [link=http://example.com]a[/]";

    private static readonly string s_long = string.Join(' ', Enumerable.Range(0, 100).Select(number => $"word{number}"));

    [Fact]
    public async Task In_a_pipe_columns_are_as_wide_as_what_is_in_them_and_nothing_is_cut_or_drawn()
    {
        var output = await WriteAsync(Table(("example.net", "7", s_long), ("a.very.long.domain.name.of.some.department.example.org", "1234567", "")), columns: null);

        const string Domain = "a.very.long.domain.name.of.some.department.example.org";
        Assert.Equal(
            [
                $"{"domain".PadRight(Domain.Length)}  waiting  last reply",
                $"{"example.net".PadRight(Domain.Length)}        7  {s_long}",
                $"{Domain}  1234567",
            ],
            Lines(output));
    }

    [Theory]
    [InlineData(null)]
    [InlineData(80)]
    [InlineData(400)]
    public async Task What_strangers_wrote_neither_hides_nor_moves_anything_and_is_no_markup(int? columns)
    {
        var output = await WriteAsync(Table(("example.net", "7", Hostile)), columns);

        Assert.DoesNotContain(Lines(output), line => line.Any(c => char.IsControl(c) || c == '\u202E'));
        var text = string.Concat(output.Where(c => !char.IsWhiteSpace(c)));
        Assert.Contains(@"450[red]notnow[/]\x1B[31m\u{202E}txt.exe\x07[[x]][link=http://example.com]a[/]", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task On_a_screen_a_long_reply_goes_on_in_the_next_lines_of_its_cell()
    {
        var output = await WriteAsync(Table(("example.net", "7", s_long)), columns: 60);

        Assert.All(Lines(output), line => Assert.InRange(line.Length, 0, 60));
        Assert.All(s_long.Split(' '), word => Assert.Contains(word, output, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_line_on_a_screen_is_not_broken()
    {
        var reply = Reply.Show("lines", [new LinePart(s_long + Hostile)], static _ => { });
        Assert.StartsWith(s_long + "450 [red]not now[/] \\x1B[31m", Assert.Single(Lines(await WriteAsync(reply, columns: 40))), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ActStatus.Done, 0, "done")]
    [InlineData(ActStatus.NotDone, 1, "notDone")]
    [InlineData(ActStatus.Refused, 2, "refused")]
    public async Task Status_and_exit_code_go_together(ActStatus status, int exitCode, string name)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var reply = Reply.Say(status, "something", "It was so", static _ => { });

        Assert.Equal(exitCode, await ReplyWriter.WriteAsync(reply, new Terminal(TextReader.Null, output, error, null, null), json: true));
        Assert.StartsWith($$"""{"status":"{{name}}","result":"something","message":"It was so""", output.ToString(), StringComparison.Ordinal);
        Assert.Equal("", error.ToString());
    }

    private static Reply Table(params (string Domain, string Waiting, string Reply)[] rows) => Reply.Show(
        "table", [new TablePart(["domain", ">waiting", "last reply"], [.. rows.Select(row => (string[])[row.Domain, row.Waiting, row.Reply])])], static _ => { });

    private static async Task<string> WriteAsync(Reply reply, int? columns)
    {
        using var output = new StringWriter();
        await ReplyWriter.WriteAsync(reply, new Terminal(TextReader.Null, output, TextWriter.Null, null, columns), json: false);
        return output.ToString();
    }

    private static string[] Lines(string output) => output.ReplaceLineEndings("\n").TrimEnd('\n').Split('\n');
}
