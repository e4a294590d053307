import { Component, type ErrorInfo, type ReactNode } from 'react';

interface Props {
  children: ReactNode;
  /** Before it is tried again: what may have been the cause is to be dropped. */
  onRetry?: () => void;
}

/** What cannot be shown takes nothing else down with it; it may be tried again without loading the page. */
export class ErrorBoundary extends Component<Props, { error?: Error }> {
  override state: { error?: Error } = {};

  static getDerivedStateFromError(error: Error) {
    return { error };
  }

  /** Here a product tells its error tracker. */
  override componentDidCatch(error: Error, { componentStack }: ErrorInfo) {
    console.error(error.message, componentStack);
  }

  private retry = () => {
    this.props.onRetry?.();
    this.setState({ error: undefined });
  };

  override render() {
    if (!this.state.error) return this.props.children;
    return (
      <main role="alert" className="broken">
        <p>This could not be shown.</p>
        <button onClick={this.retry}>Try again</button>
      </main>
    );
  }
}
