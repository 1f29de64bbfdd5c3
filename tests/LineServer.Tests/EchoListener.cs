using System.Buffers;
using System.Collections.Concurrent;
using System.Text;

namespace MailPipeline.LineServer.Tests;

/// <summary>
/// A protocol that says each line again; "quit" ends it, "bug" throws, "wait" holds the connection as a long command does, and "octets" takes
/// what follows up to a dot as content.
/// </summary>
internal sealed class EchoListener(SessionPlaces places, bool hasImplicitTls, TimeProvider time, params string[] balancers)
    : LineListener(places, hasImplicitTls, TimeSpan.FromSeconds(10), balancers)
{
    public const int MaxLineBytes = 64;

    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static readonly TimeSpan CrowdedPatience = TimeSpan.FromSeconds(20);

    public ConcurrentQueue<SessionEnd> Ends { get; } = [];

    public ConcurrentQueue<string> Limits { get; } = [];

    public ConcurrentQueue<Exception> TlsFailures { get; } = [];

    /// <summary>The most that any session had written and not flushed.</summary>
    public long MostUnflushedBytes { get; private set; }

    /// <summary>A session that cannot even begin.</summary>
    public bool IsBroken { get; init; }

    /// <summary>What "wait" waits for.</summary>
    public TaskCompletionSource Held { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TaskCompletionSource Holds { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override ILineSession Begin(LineConnection connection) =>
        IsBroken ? throw new InvalidDataException("a bug") : new Echo(this, connection, time);

    public override void WriteTooMany(IBufferWriter<byte> output) => output.Write("too many\r\n"u8);

    public override void TurnedAway(LineConnection connection, string limit) => Limits.Enqueue(limit);

    public override void TlsFailed(LineConnection connection, Exception failure) => TlsFailures.Enqueue(failure);

    public override void Ended(LineConnection connection, SessionEnd end, Exception? failure) => Ends.Enqueue(end);

    private sealed class Echo(EchoListener listener, LineConnection connection, TimeProvider time) : ILineSession, IClientPatience
    {
        IClientPatience ILineSession.Patience => this;

        public WaitEnd ForCommand() => new(WaitEnd.After(time, EchoListener.Patience), WaitEnd.After(time, CrowdedPatience));

        public WaitEnd ForReplies() => WaitEnd.In(time, EchoListener.Patience);

        public async Task<SessionEnd> RunAsync()
        {
            Say($"hello {connection.Client}");
            while (true)
            {
                var read = await connection.ReadLineAsync(MaxLineBytes);
                if (read.End is { } end)
                {
                    Say($"{end}");
                    return end;
                }

                var line = Encoding.ASCII.GetString(read.Span);
                Say($"{read.Status} {line}");
                switch (line)
                {
                    case "quit":
                        return SessionEnd.Quit;
                    case "bug":
                        throw new InvalidDataException("a bug");
                    case "wait":
                        using (connection.AbortAt(ForCommand()))
                        {
                            listener.Holds.SetResult();
                            await listener.Held.Task;
                        }
                        break;
                    case "octets":
                        Say($"Octets {await ContentAsync()}");
                        break;
                }
            }
        }

        private async ValueTask<string> ContentAsync()
        {
            var content = "";
            while (true)
            {
                var read = await connection.ReadAsync(ForCommand());
                var dot = read.Buffer.PositionOf((byte)'.');
                content += Encoding.ASCII.GetString(read.Buffer.Slice(0, dot ?? read.Buffer.End));
                connection.AdvanceTo(dot is null ? read.Buffer.End : read.Buffer.GetPosition(1, dot.Value));
                if (dot is not null || read.IsCompleted)
                    return content;
            }
        }

        private void Say(string line)
        {
            Encoding.ASCII.GetBytes(line + "\r\n", connection.Output);
            listener.MostUnflushedBytes = Math.Max(listener.MostUnflushedBytes, connection.UnflushedBytes);
        }
    }
}
