using System.Text;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone;

/// <summary>Where a command reads and writes; the process's own streams, or a test's.</summary>
/// <param name="PromptSecret">
/// Asks a person for a secret without showing it; null when the input is not a terminal, then a secret is the next line of it.
/// </param>
internal sealed record Terminal(TextReader In, TextWriter Out, TextWriter Error, Func<string, string?>? PromptSecret)
{
    /// <summary>What strangers wrote is shown so that it neither hides nor moves anything on the screen.</summary>
    public TextWriter Out { get; } = new VisibleWriter(Out);

    public TextWriter Error { get; } = new VisibleWriter(Error);

    public static Terminal Process { get; } = new(
        Console.In, Console.Out, Console.Error, Console.IsInputRedirected ? null : ReadWithoutEcho);

    private static string? ReadWithoutEcho(string prompt)
    {
        Console.Error.Write(prompt);
        var typed = new System.Text.StringBuilder();
        while (true)
        {
            var key = Console.ReadKey(intercept: true);
            switch (key.Key)
            {
                case ConsoleKey.Enter:
                    Console.Error.WriteLine();
                    return typed.ToString();
                case ConsoleKey.Backspace when typed.Length > 0:
                    typed.Length--;
                    break;
                case ConsoleKey.D when key.Modifiers == ConsoleModifiers.Control:
                    Console.Error.WriteLine();
                    return null;
                default:
                    if (!char.IsControl(key.KeyChar))
                        typed.Append(key.KeyChar);
                    break;
            }
        }
    }

    private sealed class VisibleWriter(TextWriter output) : TextWriter
    {
        public override Encoding Encoding => output.Encoding;

        public override void Write(char value) => output.Write(value);

        public override void Write(string? value) => output.Write(Visible(value));

        public override void WriteLine(string? value) => output.WriteLine(Visible(value));

        public override Task WriteAsync(string? value) => output.WriteAsync(Visible(value));

        public override Task WriteLineAsync(string? value) => output.WriteLineAsync(Visible(value));

        public override void Flush() => output.Flush();

        private static string Visible(string? text) => string.Join('\n', (text ?? "").Split('\n').Select(VisibleText.Of));
    }
}
