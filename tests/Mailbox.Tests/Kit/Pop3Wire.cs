using System.Buffers;
using System.IO.Pipelines;
using System.Text;

namespace MailPipeline.Mailbox.Tests.Kit;

/// <summary>The client's end of a connection of <see cref="Pop3Harness"/>: octets in Latin-1, so that each is one character.</summary>
internal sealed class Pop3Wire(PipeWriter toServer, PipeReader fromServer, IStopRequest stop)
{
    /// <summary>Ends when the server has ended the connection.</summary>
    public Task Served { get; set; } = Task.CompletedTask;

    /// <summary>The server broke the connection off.</summary>
    public bool IsAborted { get; set; }

    public PipeReader FromServer => fromServer;

    public PipeWriter ToServer => toServer;

    public async Task SendAsync(string text) => await toServer.WriteAsync(Encoding.Latin1.GetBytes(text));

    public async Task SendOctetByOctetAsync(string text)
    {
        foreach (var octet in Encoding.Latin1.GetBytes(text))
            await toServer.WriteAsync(new[] { octet });
    }

    /// <summary>Sends a command and reads its one-line answer.</summary>
    public async Task<string> AskAsync(string command)
    {
        await SendAsync(command + "\r\n");
        return await LineAsync();
    }

    /// <summary>Sends a command and reads its answer up to the line with the dot; lines are still stuffed.</summary>
    public async Task<string> AskForLinesAsync(string command)
    {
        await SendAsync(command + "\r\n");
        var answer = new StringBuilder();
        string line;
        do
        {
            line = await LineAsync();
            answer.Append(line).Append("\r\n");
        }
        while (line != "." && !(answer.Length == line.Length + 2 && line.StartsWith("-ERR", StringComparison.Ordinal)));
        return answer.ToString();
    }

    public async Task LogInAsync()
    {
        Assert.StartsWith("+OK", await LineAsync(), StringComparison.Ordinal);
        Assert.StartsWith("+OK", await AskAsync("USER ann@example.org"), StringComparison.Ordinal);
        Assert.StartsWith("+OK", await AskAsync("PASS secret"), StringComparison.Ordinal);
    }

    /// <summary>The next line without its CRLF; a line that ends otherwise fails the test.</summary>
    public async Task<string> LineAsync()
    {
        while (true)
        {
            var read = await fromServer.ReadAsync(TestContext.Current.CancellationToken);
            if (read.Buffer.PositionOf((byte)'\n') is { } end)
            {
                var line = Encoding.Latin1.GetString(read.Buffer.Slice(0, end));
                fromServer.AdvanceTo(read.Buffer.GetPosition(1, end));
                Assert.EndsWith("\r", line, StringComparison.Ordinal);
                return line[..^1];
            }
            var rest = Encoding.Latin1.GetString(read.Buffer);
            fromServer.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            Assert.False(read.IsCompleted, $"The server closed the connection; unread: '{rest}'");
        }
    }

    /// <summary>All that comes until the server closes the connection.</summary>
    public async Task<string> RestAsync()
    {
        while (true)
        {
            var read = await fromServer.ReadAsync(TestContext.Current.CancellationToken);
            if (read.IsCompleted)
            {
                var rest = Encoding.Latin1.GetString(read.Buffer);
                fromServer.AdvanceTo(read.Buffer.End);
                return rest;
            }
            fromServer.AdvanceTo(read.Buffer.Start, read.Buffer.End);
        }
    }

    /// <summary>The client closes its sending side.</summary>
    public async Task HalfCloseAsync() => await toServer.CompleteAsync();

    /// <summary>The client is gone, in both directions.</summary>
    public async Task DisconnectAsync()
    {
        await toServer.CompleteAsync();
        await fromServer.CompleteAsync();
    }

    public void RequestStop() => stop.RequestClose();
}
