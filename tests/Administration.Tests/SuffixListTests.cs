using System.Net;
using System.Text;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Testing;

namespace MailPipeline.Administration.Tests;

/// <summary>The Public Suffix List: the one that is built in, files, and a newer one from a server.</summary>
public sealed class SuffixListTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("mailpipeline-suffixes-").FullName;

    private string FilePath => Path.Combine(_folder, "list.dat");

    /// <summary>A whole list with one rule more.</summary>
    private static string Newer { get; } =
        $"// ===BEGIN ICANN DOMAINS===\ncom\nuk\nco.uk\n{string.Join('\n', Enumerable.Range(0, 6000).Select(i => $"x{i}.example"))}\n// ===END ICANN DOMAINS===\n";

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_built_in_says_of_which_day_it_is()
    {
        var found = Assert.IsType<SuffixListFound>(SuffixList.Find(""));
        Assert.Equal(("", PublicSuffixList.BuiltInDate), (found.File, found.Of));
        Assert.IsType<FileUnusable>(SuffixList.Find(Path.Combine(_folder, "nothing")));
        File.WriteAllText(FilePath, "com\n");
        Assert.StartsWith("it has no lines", Assert.IsType<FileUnusable>(SuffixList.Find(FilePath)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_newer_list_is_put_into_the_file()
    {
        using var server = new ListServer(200, Newer);
        var renewed = Assert.IsType<SuffixListRenewed>(await new SuffixList(TimeProvider.System).RenewAsync(FilePath, server.Url, TestContext.Current.CancellationToken));
        Assert.Equal(6003, renewed.Rules);
        Assert.Equal("b.x7.example", SuffixList.Open(FilePath).OrganizationOf("a.b.x7.example"));
        Assert.Equal([FilePath], Directory.GetFiles(_folder));
    }

    [Theory]
    [InlineData(200, "<html>maintenance</html>", "NoList it has no lines")]
    [InlineData(200, "// ===BEGIN ICANN DOMAINS===\ncom\n// ===END ICANN DOMAINS===\n", "NoList it has 1 rules")]
    [InlineData(503, "", "Status 503")]
    [InlineData(302, "", "Status 302")]
    public async Task What_is_no_list_leaves_the_file_as_it_was(int code, string body, string reason)
    {
        File.WriteAllText(FilePath, Newer);
        using var server = new ListServer(code, body);
        var kept = Assert.IsType<SuffixListNotRenewed>(await new SuffixList(TimeProvider.System).RenewAsync(FilePath, server.Url, TestContext.Current.CancellationToken));
        Assert.StartsWith(reason, $"{kept.Cause} {kept.Detail}", StringComparison.Ordinal);
        Assert.Equal(Newer, File.ReadAllText(FilePath));
        Assert.Equal([FilePath], Directory.GetFiles(_folder));
    }

    [Fact]
    public async Task A_list_of_any_size_is_not_read()
    {
        using var server = new ListServer(200, Newer + new string('x', 5 * 1024 * 1024));
        Assert.IsType<SuffixListNotRenewed>(await new SuffixList(TimeProvider.System).RenewAsync(FilePath, server.Url, TestContext.Current.CancellationToken));
        Assert.False(File.Exists(FilePath));
    }

    [Fact]
    public async Task Nobody_there_and_nowhere_to_put_it_are_said()
    {
        var list = new SuffixList(TimeProvider.System);
        Assert.IsType<SuffixListNotRenewed>(await list.RenewAsync(FilePath, $"http://127.0.0.1:{FreePorts.Next()}/list", TestContext.Current.CancellationToken));
        using var server = new ListServer(200, Newer);
        Assert.IsType<FileUnusable>(await list.RenewAsync(Path.Combine(_folder, "no", "such", "folder"), server.Url, TestContext.Current.CancellationToken));
    }

    [Theory]
    [InlineData("http://publicsuffix.org/list/public_suffix_list.dat")]
    [InlineData("ftp://127.0.0.1/list")]
    [InlineData("list.dat")]
    public async Task Only_what_comes_by_HTTPS_is_believed(string source) => Assert.Equal(
        new CheckMistyped(CheckedThing.Source, source), await new SuffixList(TimeProvider.System).RenewAsync(FilePath, source, TestContext.Current.CancellationToken));

    /// <summary>Answers one request after the other with the same.</summary>
    private sealed class ListServer : IDisposable
    {
        private readonly HttpListener _listener = new();

        public ListServer(int code, string body)
        {
            Url = $"http://127.0.0.1:{FreePorts.Next()}/";
            _listener.Prefixes.Add(Url);
            _listener.Start();
            _ = ServeAsync(code, Encoding.UTF8.GetBytes(body));
        }

        public string Url { get; }

        public void Dispose() => _listener.Close();

        private async Task ServeAsync(int code, byte[] body)
        {
            try
            {
                while (true)
                {
                    var context = await _listener.GetContextAsync();
                    context.Response.StatusCode = code;
                    if (code == 302)
                        context.Response.RedirectLocation = "https://elsewhere.example/";
                    context.Response.ContentLength64 = body.Length;
                    await context.Response.OutputStream.WriteAsync(body);
                    context.Response.Close();
                }
            }
            catch (Exception over) when (over is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                // The test is over, or the client has gone.
            }
        }
    }
}
